"""Files that end whoever fetches them: killed for real, each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from media_app.ingest import ingest_next
from media_app.models import FetchAttempt, Media
from media_app.retry import MIN_ATTEMPTS
from messages_app import inbox
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, dies_at, photo
from tests.messages.mail import arrive

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_databases,
    pytest.mark.usefixtures("provider"),
]

State = Media.State


def announced(*numbers: int) -> list[Media]:
    """Photos that were announced; the first is the most urgent."""
    arrive(album(*map(photo, numbers)))
    inbox.drain()
    files = list(Media.objects.order_by("position", "id"))
    Media.objects.filter(id=files[0].id).update(give_up_at=Now() + timedelta(days=1))
    return files


def its_worker_is_killed(media: Media) -> None:
    """Whoever takes this file dies of it, and the lease runs out."""
    Media.objects.filter(id=media.id).update(next_attempt_at=Now())
    dies_at("ingest_mid_download", ingest_next)
    lost = Media.objects.filter(id=media.id, state=State.FETCHING)
    assert lost.update(lease_until=Now() - timedelta(seconds=1)) == 1


def test_a_file_that_kills_its_worker_waits_behind_the_others() -> None:
    deadly, other = announced(1, 2)
    its_worker_is_killed(deadly)
    ingest_next()
    ingest_next()
    deadly.refresh_from_db()
    other.refresh_from_db()
    assert (deadly.state, deadly.attempts, "lost" in deadly.last_error) == (
        State.RETRYING,
        1,
        True,
    )
    assert deadly.next_attempt_at > datetime.now(UTC) - timedelta(seconds=5)
    assert other.is_stored


def test_a_file_that_kills_every_worker_is_given_up(
    provider: SimulatedProvider,
) -> None:
    (deadly,) = announced(1)
    Media.objects.update(give_up_at=Now())
    for _ in range(MIN_ATTEMPTS):
        its_worker_is_killed(deadly)
        ingest_next()
    deadly.refresh_from_db()
    assert (deadly.state, deadly.attempts, "lost" in deadly.last_error) == (
        State.REJECTED,
        MIN_ATTEMPTS,
        True,
    )
    outcomes = FetchAttempt.objects.order_by("number").values_list("number", "outcome")
    assert list(outcomes) == [
        (number, FetchAttempt.Outcome.LOST) for number in range(1, MIN_ATTEMPTS + 1)
    ]
    assert ingest_next() is None
