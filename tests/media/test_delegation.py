"""Leaving the bytes to nginx or to the bucket: what is left to them, and what is not."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.conf import settings
from django.db.models.functions import Now
from pytest_django import Settings

from media_app import signing
from media_app.models import Media, Viewing
from media_app.signing import Disposition
from tests.media import files
from tests.media.browser import Browser, url
from tests.media.files import Stored

pytestmark = pytest.mark.django_db

PHOTO = files.PHOTO.body
#: What neither nginx nor a bucket decides as we do.
OURS = [
    {"Range": "bytes=5-2"},
    {"Range": "bytes=0-1,5-6"},
    {"Range": "bytes=0-99999999999999999999999"},
    {"Range": "items=0-5"},
    {"Range": "bytes=0-1", "If-Range": '"other"'},
    {"If-Unmodified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"},
    {"If-Match": "*"},
]
PLAIN: list[dict[str, str]] = [
    {},
    {"Range": "bytes=0-1"},
    {"Range": "Bytes=-5"},
    {"If-None-Match": '"other"'},
]


@pytest.fixture
def accel(settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "accel"


@pytest.fixture
def redirect(settings: Settings) -> None:
    settings.MEDIA_DELIVERY = "redirect"


@pytest.fixture
def object_(in_a_bucket: None, stored: Stored) -> Media:
    """A photo in a bucket."""
    return stored(PHOTO)


def by_link(media: Media, disposition: Disposition = Disposition.INLINE) -> str:
    """The address of a signed link, without its host."""
    return signing.link(media, disposition).partition(settings.PUBLIC_URL)[2]


# --- nginx ------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", PLAIN)
def test_nginx_sends_what_is_plain(
    viewer: Browser, photo: Media, accel: None, headers: dict[str, str]
) -> None:
    response = viewer.get(url(photo), headers=headers)
    key = photo.key.replace(":", "%3A").replace("+", "%2B")
    assert response["X-Accel-Redirect"] == f"/_files/{key}"
    assert (response["ETag"], response.body) == (f'"{photo.sha256}"', b"")
    assert response["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("headers", [*OURS, {"X-Accel-Failed": "1"}])
def test_what_takes_a_decision_is_streamed(
    viewer: Browser, photo: Media, accel: None, headers: dict[str, str]
) -> None:
    response = viewer.get(url(photo), headers=headers)
    assert "X-Accel-Redirect" not in response
    assert (response.status_code // 100, response.body) == (2, PHOTO)


def test_a_file_that_nginx_could_not_send_is_logged(
    viewer: Browser, photo: Media, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    viewer.get(url(photo), headers={"X-Accel-Failed": "1"})
    assert not caplog.messages
    settings.MEDIA_DELIVERY = "accel"
    viewer.get(url(photo), headers={"X-Accel-Failed": "1"})
    assert "nginx could not send a stored file" in "".join(caplog.messages)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If-None-Match": "*"}, 304), ({"Range": "bytes=5000000-"}, 416)],
)
def test_what_needs_no_byte_is_answered_here(
    viewer: Browser, photo: Media, accel: None, headers: dict[str, str], status: int
) -> None:
    assert viewer.get(url(photo), headers=headers).status_code == status
    assert viewer.head(url(photo))["Content-Length"] == str(len(PHOTO))


def test_nginx_gets_a_short_lived_path_into_the_bucket(
    viewer: Browser, object_: Media, accel: None
) -> None:
    response = viewer.get(url(object_))
    assert response["X-Accel-Redirect"] == "/_bucket/cached"
    signed = urlsplit(response["X-Bucket-Path"])
    assert signed.path.startswith("/media/whatsapp%3A%2B")
    assert 0 < int(parse_qs(signed.query)["X-Amz-Expires"][0]) <= 60


def test_large_objects_pass_by_nginxs_cache(
    viewer: Browser, object_: Media, accel: None
) -> None:
    Media.objects.update(size=4 * 1024 * 1024 + 1)
    assert viewer.get(url(object_))["X-Accel-Redirect"] == "/_bucket/direct"


# --- the bucket -------------------------------------------------------------------------


@pytest.mark.parametrize("headers", PLAIN)
def test_the_bucket_sends_what_is_plain_and_safe(
    viewer: Browser, object_: Media, redirect: None, headers: dict[str, str]
) -> None:
    response = viewer.get(url(object_), headers=headers)
    assert (response.status_code, response["Cache-Control"]) == (302, "no-store")
    query = parse_qs(urlsplit(response["Location"]).query)
    assert 0 < int(query["X-Amz-Expires"][0]) <= 60
    found = requests.get(response["Location"], timeout=60)
    assert (found.content, found.headers["Content-Type"]) == (PHOTO, "image/jpeg")
    assert found.headers["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize("headers", OURS)
def test_what_takes_a_decision_is_not_redirected(
    viewer: Browser, object_: Media, redirect: None, headers: dict[str, str]
) -> None:
    response = viewer.get(url(object_), headers=headers)
    assert (response.status_code // 100, response.body) == (2, PHOTO)


def test_a_download_is_not_redirected(
    viewer: Browser, object_: Media, redirect: None
) -> None:
    assert viewer.get(url(object_, "?download=1")).body == PHOTO
    assert Browser().get(by_link(object_, Disposition.ATTACHMENT)).body == PHOTO


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "application/pdf"]
)
def test_what_is_not_safe_inline_is_not_redirected(
    viewer: Browser, public: Media, content_type: str
) -> None:
    Media.objects.update(content_type=content_type)
    assert viewer.get(url(public)).status_code == 200


def test_a_folder_has_nowhere_to_redirect_to(
    viewer: Browser, photo: Media, redirect: None, settings: Settings
) -> None:
    publish(settings)
    assert viewer.get(url(photo)).body == PHOTO


def publish(settings: Settings) -> None:
    """The files have complete public copies."""
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = "public", "https://cdn.example"
    Media.objects.update(
        is_public=True,
        public_bucket="public",
        public_key="0000.jpeg",
        published_at=Now(),
    )


@pytest.fixture
def public(object_: Media, redirect: None, settings: Settings) -> Media:
    """A photo in a bucket, and its copy in the public one."""
    publish(settings)
    return object_


def location(browser: Browser, path: str) -> str:
    return str(browser.get(path).headers.get("Location", ""))


def test_whoever_may_see_a_public_file_is_sent_to_its_copy(
    viewer: Browser, public: Media
) -> None:
    copy = "https://cdn.example/0000.jpeg"
    assert location(viewer, url(public)) == copy
    assert location(Browser(), by_link(public)) == copy


@pytest.mark.parametrize(
    "change",
    [
        {"is_public": False},
        {"published_at": None},
        {"public_bucket": "former"},
        {"public_key": ""},
    ],
)
def test_without_a_complete_copy_nobody_is_sent_to_the_public_address(
    viewer: Browser, public: Media, change: dict[str, object]
) -> None:
    Media.objects.update(**change)
    assert "X-Amz-Signature" in location(viewer, url(public))


def test_a_public_address_without_a_bucket_opens_nothing(
    viewer: Browser, public: Media, settings: Settings
) -> None:
    settings.R2_PUBLIC_BUCKET = ""
    assert "X-Amz-Signature" in location(viewer, url(public))


def test_whoever_comes_by_a_link_learns_neither_key_nor_number(
    object_: Media, redirect: None
) -> None:
    response = Browser().get(by_link(object_))
    assert (response.status_code, response.body) == (200, PHOTO)
    said = str(response.headers)
    assert object_.key.rpartition("/")[2] not in said
    assert "14335551212" not in said


# --- who ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["stream", "accel", "redirect"])
def test_who_may_see_what_is_the_same_by_every_way(
    client: Browser, object_: Media, settings: Settings, way: str
) -> None:
    settings.MEDIA_DELIVERY = way
    Media.objects.update(is_public=True)
    for query in ("", "?token=x", "?download=1"):
        assert client.get(url(object_, query)).status_code == 404
    assert client.get(by_link(object_)).status_code in {200, 302}


@pytest.mark.parametrize("way", ["accel", "redirect"])
def test_what_others_send_is_a_viewing_all_the_same(
    viewer: Browser, object_: Media, settings: Settings, way: str
) -> None:
    settings.MEDIA_DELIVERY = way
    viewer.get(url(object_))
    assert Viewing.objects.get().kind == "view"
