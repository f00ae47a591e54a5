"""Hosts whose clocks are wrong: only the database's clock counts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from media_app import serving
from media_app.clock import database_now
from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.retry import MIN_ATTEMPTS
from media_app.timing import EARLY_ANNOUNCEMENT_PAUSE, SHORT_OUTAGE
from tests.media.files import Announced
from tests.sources.hostile import HostileProvider

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
Clock = Callable[[timedelta], None]


@pytest.fixture
def host_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the clock that our modules ask to so much off the right time."""

    def turn(off: timedelta) -> None:
        class Wrong(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + off

        for name, module in list(sys.modules.items()):
            if (
                name.startswith("media_app.")
                and getattr(module, "datetime", None) is datetime
            ):
                monkeypatch.setattr(module, "datetime", Wrong)

    return turn


def fetch_once_more(media: Media) -> Media:
    """The attempt after several that ended the same way."""
    ingest_next()
    Media.objects.update(attempts=MIN_ATTEMPTS, next_attempt_at=Now())
    ingest_next()
    media.refresh_from_db()
    return media


def test_the_database_says_what_time_it_is() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= database_now() <= datetime.now(UTC)


def test_a_clock_that_is_days_ahead_expires_nothing(
    announced: Announced, hostile: HostileProvider, host_clock: Clock
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    media = announced(source="url", url=hostile.url("404"))
    Media.objects.update(expires_at=tomorrow, give_up_at=tomorrow)
    host_clock(timedelta(days=2))
    row = fetch_once_more(media)
    assert (row.state, row.attempts) == (State.RETRYING, MIN_ATTEMPTS + 1)
    assert row.next_attempt_at <= database_now() + SHORT_OUTAGE


def test_a_clock_that_is_behind_does_not_ask_every_three_seconds(
    announced: Announced,
    hostile: HostileProvider,
    host_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.999)
    media = announced(
        source="url",
        url=hostile.url("404"),
        announced_at=datetime.now(UTC) - timedelta(minutes=9),
    )
    host_clock(timedelta(minutes=-10))
    row = fetch_once_more(media)
    assert row.next_attempt_at > database_now() + 2 * EARLY_ANNOUNCEMENT_PAUSE


def test_a_clock_that_is_ahead_does_not_age_a_link(
    announced: Announced,
    hostile: HostileProvider,
    settings: Settings,
    host_clock: Clock,
) -> None:
    settings.META_ACCESS_TOKEN, settings.META_GRAPH_URL = ["token"], hostile.base
    announced(url=hostile.url("photo"), provider_media_id="photo")
    host_clock(timedelta(minutes=10))
    ingest_next()
    assert [request.path for request in hostile.received()] == ["/link/photo"]


def test_a_viewer_is_told_to_wait_as_long_as_the_database_says(
    announced: Announced, host_clock: Clock
) -> None:
    media = announced()
    Media.objects.update(
        state=State.RETRYING, next_attempt_at=Now() + timedelta(seconds=30)
    )
    media.refresh_from_db()
    host_clock(timedelta(days=-2))
    assert 25 <= serving._seconds_until_next_attempt(media) <= 30
