"""What became of each attempt, and that no secret is ever told with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from media_app.admin.machine_owned import change_url
from media_app.ingest import ingest_next
from media_app.models import AccountPause, FetchAttempt, Media
from simulator.provider import SimulatedProvider
from tests.admin.pages import page_of
from tests.admin.rows import attempt, make_media, photo
from tests.sources.hostile import HostileProvider

# The token that the hostile provider quotes in its answers.
CANARY = "hush-hush"


def test_attempts_are_listed_the_newest_first_with_what_was_answered(
    viewer: Client,
) -> None:
    media = make_media(state="retrying", attempts=2)
    now = timezone.now()
    attempt(
        media, number=2, seconds=1.25, answer="The link answered 503.", ended_at=now
    )
    attempt(
        media,
        number=1,
        seconds=None,
        outcome="lost",
        answer="gone",
        ended_at=now - timedelta(minutes=3),
    )
    response = viewer.get(change_url(media))
    assert [each.number for each, _ in response.context["attempts"]] == [2, 1]
    html = response.content.decode()
    for told in (
        "The link answered 503.",
        "1.25 s",
        "the worker was lost",
        "the newest first",
    ):
        assert told in html


def test_only_the_newest_fifty_are_listed_and_the_rest_counted(viewer: Client) -> None:
    media = make_media(state="retrying", attempts=53)
    FetchAttempt.objects.bulk_create(
        FetchAttempt(
            media=media, number=number, outcome="failed", answer=f"answer {number}."
        )
        for number in range(53)
    )
    response = viewer.get(change_url(media))
    assert len(response.context["attempts"]) == 50
    assert "the newest 50 of 53" in response.content.decode()


def test_a_file_that_was_never_tried_has_no_such_table(viewer: Client) -> None:
    attempt(make_media(state="retrying"))
    assert 'aria-label="Attempts"' not in page_of(viewer, make_media(photo()))


def test_what_was_answered_is_shown_as_text(viewer: Client) -> None:
    media = make_media(state="retrying")
    attempt(media, answer="<script>alert('x')</script>")
    assert "<script>alert(" not in page_of(viewer, media)


def every_page(client: Client) -> str:
    """All that staff can open of files, attempts and pauses."""
    pauses, files = AccountPause.objects.all(), Media.objects.all()
    lists = ["/admin/", "/admin/media_app/media/", "/admin/media_app/accountpause/"]
    pages = [
        client.get(address)
        for address in (*lists, *map(change_url, pauses), *map(change_url, files))
    ]
    assert all(page.status_code == 200 for page in pages)
    return "".join(page.content.decode() for page in pages)


@pytest.fixture
def refusing(provider: SimulatedProvider, settings: Settings) -> SimulatedProvider:
    """The provider, to which our token is unknown."""
    settings.META_ACCESS_TOKEN = [CANARY]
    return provider


def test_a_refused_token_is_never_shown(
    refusing: SimulatedProvider, superuser: Client
) -> None:
    make_media(state="pending")
    assert ingest_next()
    html = every_page(superuser)
    assert "The Graph API answered 401, code 190." in html
    assert CANARY not in html


@pytest.mark.parametrize(
    ("media_id", "said"),
    [
        ("api-token", "code 190"),
        ("api-permission", "code 10."),
        ("api-throttled", "code 80007"),
        ("api-gone", "code 100"),
        ("503", "The link answered 503."),
    ],
)
def test_a_token_that_the_provider_quotes_is_never_shown(
    media_id: str, said: str, superuser: Client, settings: Settings
) -> None:
    settings.META_ACCESS_TOKEN = [CANARY]
    make_media(state="pending", provider_media_id=media_id)
    with HostileProvider() as hostile:
        settings.META_GRAPH_URL, settings.META_MEDIA_HOSTS = (
            hostile.base,
            [hostile.host],
        )
        assert ingest_next()
        assert any(
            CANARY in request.headers.get("authorization", "")
            for request in hostile.received()
        )
    html = every_page(superuser)
    assert said in html
    assert CANARY not in html
