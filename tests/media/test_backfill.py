"""Fetching what is announced and not stored, file by file, without workers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from media_app import backfill, rate
from media_app.backfill import Attempted
from media_app.ingest import ingest_next
from media_app.models import AccountPause, Lease, Media
from media_app.parallel import Parallel
from simulator.provider import SimulatedProvider
from tests.media.files import OWNER, Announced, Sent
from tests.media.racing import race

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "FILES_PER_SECOND", 10_000)


def run(again: Sequence[State] = (), **words: Any) -> list[Attempted]:
    """One after the other."""
    files = backfill.unstored(again=again, **words)
    return [backfill.attempt(id, again) for id in backfill.newest_first(files)]


def counted(attempts: list[Attempted]) -> Counter[tuple[str, str]]:
    return Counter((each.result.value, each.reason) for each in attempts)


def claimed(media: Media) -> Lease:
    lease = Media.objects.claim_file(media.id)
    assert lease is not None
    return lease


def test_all_that_waits_is_stored_once(sent: Sent, provider: SimulatedProvider) -> None:
    for _ in range(6):
        sent()
    with Parallel(backfill.attempt, 3) as attempts:
        ids = backfill.newest_first(backfill.unstored())
        assert counted(list(attempts.results(ids))) == {("stored", ""): 6}
    assert set(Media.objects.values_list("state", "attempts")) == {("stored", 1)}
    assert set(provider.downloads.values()) == {1}
    assert run() == []


def test_workers_beside_it_fetch_nothing_twice(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(12):
        sent()

    def work() -> None:
        while ingest_next() is not None:
            pass

    def fill() -> None:
        ids = list(Media.objects.values_list("id", flat=True))
        for id in ids:
            backfill.attempt(id)

    race([work, fill, fill])
    assert set(Media.objects.values_list("state", "attempts")) == {("stored", 1)}
    assert set(provider.downloads.values()) == {1}


def test_the_newest_comes_first(
    announced: Announced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE", 2)
    # Three of one second: they stand on two pages.
    hours = (3, 1, 2, 2, 2, 5, 4)
    for ago in hours:
        announced(occurred_at=NOW - timedelta(hours=ago))
    ids = list(backfill.newest_first(backfill.unstored()))
    assert len(set(ids)) == len(hours)
    times = [Media.objects.get(id=id).occurred_at for id in ids]
    assert times == sorted(times, reverse=True)
    assert list(backfill.newest_first(backfill.unstored(), 3)) == ids[:3]


def test_period_and_sender_choose(announced: Announced) -> None:
    wanted = announced(occurred_at=NOW - timedelta(days=2))
    announced(occurred_at=NOW - timedelta(days=3))
    announced(occurred_at=NOW - timedelta(days=1))
    announced(occurred_at=NOW - timedelta(days=2), owner=f"{OWNER}0")
    since, until = NOW - timedelta(days=2), NOW - timedelta(days=1)
    assert backfill.unstored(since=since, until=until, owner=OWNER).get() == wanted


def test_a_file_that_fails_is_attempted_once(
    sent: Sent, provider: SimulatedProvider
) -> None:
    media = sent()
    provider.expired.add(media.provider_media_id)
    assert counted(run()) == {("failed", "gone"): 1}
    media.refresh_from_db()
    assert (media.state, media.attempts) == (State.RETRYING, 1)


def test_a_retry_is_not_waited_for(sent: Sent) -> None:
    Media.objects.mark_retrying(claimed(sent()), "later", timedelta(hours=1))
    assert Media.objects.claim() is None
    assert counted(run()) == {("stored", ""): 1}


def test_a_file_that_is_being_fetched_is_skipped(sent: Sent) -> None:
    claimed(sent())
    assert counted(run()) == {("skipped", "taken"): 1}
    assert Media.objects.get().attempts == 1


def test_a_lost_attempt_is_ended_first(sent: Sent) -> None:
    media = sent()
    claimed(media)
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert counted(run()) == {("stored", ""): 1}
    outcomes = media.fetch_attempts.order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["lost", "stored"]


def test_refused_credentials_skip_the_rest_of_the_account(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(3):
        sent()
    other = sent("twilio")
    provider.unauthorised = True
    Media.objects.filter(id=other.id).update(occurred_at=NOW - timedelta(hours=1))
    assert counted(run()) == {
        ("failed", "unauthorized"): 2,
        ("skipped", "account_paused"): 2,
    }
    assert AccountPause.objects.count() == 2


@pytest.mark.parametrize("state", [State.EXPIRED, State.REJECTED, State.MISSING])
def test_files_given_up_are_fetched_when_asked_for(sent: Sent, state: State) -> None:
    sent()
    Media.objects.update(state=state)
    assert run() == []
    assert counted(run([state])) == {("stored", ""): 1}


def test_a_paused_file_stays_given_up(sent: Sent) -> None:
    media = sent()
    Media.objects.update(state=State.EXPIRED, last_error="gone", attempts=5)
    AccountPause.objects.pause(
        source=media.source,
        account=media.account,
        cause="unauthorized",
        reason="401",
        length=timedelta(minutes=5),
    )
    assert counted(run([State.EXPIRED])) == {("skipped", "account_paused"): 1}
    media.refresh_from_db()
    assert (media.state, media.last_error, media.attempts) == ("expired", "gone", 5)


def test_a_file_that_was_not_passed_on_is_skipped(announced: Announced) -> None:
    announced(provider_media_id="", not_passed_on="Media download error")
    assert counted(run([State.REJECTED])) == {("skipped", "not_named"): 1}
    assert Media.objects.get().state == State.REJECTED


def test_a_deleted_file_is_never_fetched(sent: Sent) -> None:
    sent()
    Media.objects.update(state=State.DELETED)
    assert run([State.EXPIRED, State.REJECTED, State.MISSING]) == []


def test_what_is_begun_is_finished_after_a_stop() -> None:
    begun, free = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number:
            begun.set()
            free.wait(60)
        return number

    numbers = iter(range(100))
    with Parallel(work, 2) as parallel:
        results = parallel.results(numbers)
        assert next(results) == 0
        # None is taken before a thread is free for it.
        assert next(numbers) == 3
        assert begun.wait(60)
        free.set()
        assert list(parallel.rest()) == [1]
