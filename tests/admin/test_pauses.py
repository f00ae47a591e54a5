from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from redis import Redis

from media_app.models import AccountPause, Media
from tests.admin.conftest import Staff
from tests.admin.pages import act, page_of, verb_url
from tests.admin.rows import make_media, pause

LIST = "/admin/media_app/accountpause/"


@pytest.mark.parametrize(
    "permissions",
    [
        ("media_app.view_accountpause", "media_app.change_accountpause"),
        ("media_app.change_media",),
    ],
)
def test_resume_lifts_the_pause_and_has_its_files_fetched_at_once(
    permissions: tuple[str, ...], staff: Staff, redis: Redis
) -> None:
    paused, other = pause(), pause("666")
    later = timezone.now() + timedelta(minutes=6)
    make_media(state="retrying", next_attempt_at=later)
    make_media(state="retrying", account="666", next_attempt_at=later)
    client = staff(*permissions)
    assert f'action="{verb_url(paused, "resume")}"' in page_of(client, paused)
    response = client.post(verb_url(paused, "resume"), follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert (
        "Files of Meta&#x27;s number 555 are fetched again."
        in response.content.decode()
    )
    assert list(AccountPause.objects.all()) == [other]
    assert redis.llen("rq:queue:ingest") == 1


def test_resume_in_the_list_lifts_those_that_are_chosen(staff: Staff) -> None:
    chosen, other = pause(), pause("666")
    act(staff("media_app.change_media"), "resume", chosen)
    assert list(AccountPause.objects.all()) == [other]


def test_resume_is_refused_without_the_permission(viewer: Client, staff: Staff) -> None:
    paused = pause()
    assert viewer.post(verb_url(paused, "resume")).status_code == 403
    act(viewer, "resume", paused)
    assert "/verb/" not in page_of(viewer, paused)
    assert (
        staff("messages_app.change_message")
        .post(verb_url(paused, "resume"))
        .status_code
        == 403
    )
    assert (
        staff("media_app.change_media").get(verb_url(paused, "resume")).status_code
        == 405
    )
    assert AccountPause.objects.count() == 1


def test_who_may_see_files_sees_why_they_wait(staff: Staff) -> None:
    paused = pause()
    make_media(state="retrying")
    client = staff("media_app.view_media")
    html = page_of(client, paused)
    assert "Meta refuses the access token for number 555." in html
    assert "code 190" in html
    assert "1 file waits since" in html
    assert "Meta 555" in page_of(client, LIST)


def test_a_twilio_account_is_told_what_twilio_wants(viewer: Client) -> None:
    html = page_of(viewer, pause("AC1", source="twilio", reason="401"))
    assert "Twilio refuses the credentials for account AC1." in html
    assert "Set TWILIO_AUTH_TOKEN" in html


def test_a_source_that_nobody_foresaw_has_a_page_as_well(viewer: Client) -> None:
    html = page_of(viewer, pause("x", source="pigeon", reason="401"))
    assert "pigeon refuses the credentials for account x." in html


def test_files_of_other_accounts_keep_their_time(staff: Staff) -> None:
    paused = pause()
    later = timezone.now() + timedelta(minutes=6)
    other = make_media(state="retrying", account="666", next_attempt_at=later)
    staff("media_app.change_media").post(verb_url(paused, "resume"))
    assert Media.objects.get(id=other.id).next_attempt_at == later
