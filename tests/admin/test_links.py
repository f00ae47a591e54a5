"""Giving files out, taking links back, and who has seen what."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis

from media_app import queues
from media_app.models import Media, Viewing
from tests.admin.conftest import Staff
from tests.admin.pages import act, page_of, press, verb_url
from tests.admin.rows import make_media, photo
from tests.media.browser import Browser
from tests.media.bucket import name_buckets

pytestmark = pytest.mark.django_db


def given(html: str) -> list[str]:
    """The links on a page, without the hub's address."""
    return [
        unescape(link)
        for link in re.findall(r'class="given-link" href="http://[^/]+([^"]+)"', html)
    ]


def test_a_link_that_staff_make_opens_the_file_without_a_login(
    staff: Staff, settings: Settings
) -> None:
    settings.LINK_TTL_SECONDS = 900
    html = press(
        staff("media_app.change_media"),
        make_media(photo(), filename="<b>sofa</b>.jpeg"),
        "make_link",
    )
    assert "without a login for 15 min" in html
    assert "&lt;b&gt;sofa&lt;/b&gt;.jpeg" in html
    (link,) = given(html)
    assert Browser().get(link).status_code == 200


def test_links_to_several_files_are_made_at_once(staff: Staff) -> None:
    files = [make_media(photo()) for _ in range(3)]
    html = act(staff("media_app.change_media"), "make_link", *files)
    assert {link.split("/")[2] for link in given(html)} == {
        str(media.id) for media in files
    }


def test_a_file_that_is_not_here_has_no_link(staff: Staff) -> None:
    html = act(staff("media_app.change_media"), "make_link", make_media())
    assert "only a stored file can be given out" in html


def test_revoking_ends_the_links(staff: Staff) -> None:
    client, media = staff("media_app.change_media"), make_media(photo())
    (link,) = given(press(client, media, "make_link"))
    assert "stopped working" in press(client, media, "revoke_links")
    assert Browser().get(link).status_code == 404


def test_those_who_only_look_give_nothing_out(viewer: Client) -> None:
    media = make_media(photo())
    assert "/verb/" not in page_of(viewer, media)
    assert viewer.post(verb_url(media, "make_link")).status_code == 403


@pytest.mark.parametrize("missing", ["R2_PUBLIC_BUCKET", "R2_PUBLIC_URL"])
def test_files_are_public_only_where_there_is_a_public_bucket(
    staff: Staff, settings: Settings, missing: str
) -> None:
    client, media = staff("media_app.change_media"), make_media(photo())
    name_buckets(settings)
    assert "mark_public" in page_of(client, media)
    setattr(settings, missing, "")
    assert "mark_public" not in page_of(client, media)


def test_the_page_tells_what_becomes_of_the_public_copy(
    staff: Staff, settings: Settings
) -> None:
    client, media = staff("media_app.change_media"), make_media(photo())
    name_buckets(settings)
    assert "It is being made." in press(client, media, "mark_public")
    Media.objects.update(
        public_bucket="public", public_key="0000.jpeg", published_at=timezone.now()
    )
    assert 'href="https://cdn.example/0000.jpeg"' in page_of(client, media)
    Media.objects.update(public_error="the bucket, delete: AccessDenied (403)")
    html = press(client, media, "mark_private")
    assert "It is being removed. the bucket, delete: AccessDenied (403)" in html
    assert "0000.jpeg" not in html


def test_a_worker_is_told_of_a_file_that_was_marked(
    staff: Staff, settings: Settings, redis: Redis
) -> None:
    client, media = staff("media_app.change_media"), make_media(photo())
    name_buckets(settings)
    press(client, media, "mark_public")
    assert queues.waiting("ingest") == 1


def test_the_page_tells_who_has_seen_the_file(staff: Staff) -> None:
    media = make_media(photo())
    Viewing.objects.record(
        media.id, User.objects.create_user("vera"), Viewing.Kind.DOWNLOAD
    )
    html = page_of(staff("media_app.view_media", "media_app.view_viewing"), media)
    assert re.search(r"<td>vera</td><td>downloaded</td>", html)


def test_that_takes_a_permission_of_its_own(staff: Staff) -> None:
    media = make_media(photo())
    Viewing.objects.record(
        media.id, User.objects.create_user("vera"), Viewing.Kind.VIEW
    )
    assert "Seen by" not in page_of(staff("media_app.view_media"), media)
