from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from media_app.clock import database_now
from media_app.models import Lease, Media
from media_app.models.attempt import MAX_PER_FILE, FetchAttempt
from media_app.timing import FETCH_LEASE, QUEUED_FOR
from tests.media.files import Announced, claimed, lease_runs_out, run_out
from tests.media.racing import race

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
Failure = Media.Failure
NOW = datetime.now(UTC)


@pytest.mark.django_db(transaction=True)
def test_no_two_workers_get_the_same_file(announced: Announced) -> None:
    ids = {announced().id for _ in range(24)}

    def work() -> list[UUID]:
        # Bounded: a loop of claims that fail would never end.
        leases = [lease for _ in range(24) if (lease := Media.objects.claim())]
        return [lease.media.id for lease in leases]

    taken = [id for each in race([work] * 6) for id in each]
    assert sorted(taken) == sorted(ids)
    assert set(Media.objects.values_list("attempts", "state")) == {(1, State.FETCHING)}


def test_what_the_provider_forgets_first_comes_first(announced: Announced) -> None:
    by_age = [announced(occurred_at=NOW - timedelta(days=days)) for days in (1, 6, 3)]
    later = announced(source="twilio", url="https://api.twilio.com/x")
    order = [claimed().media for _ in range(4)]
    assert order == [by_age[1], by_age[2], by_age[0], later]


def test_a_claim_tells_the_worker_what_it_holds(announced: Announced) -> None:
    announced()
    lease = claimed()
    row = Media.objects.get()
    assert (row.state, row.attempts) == (State.FETCHING, 1)
    assert (lease.media.state, lease.media.attempts) == (State.FETCHING, 1)
    assert row.lease_token == lease.token and row.lease_until is not None
    left = row.lease_until - database_now()
    assert timedelta(0) < left <= FETCH_LEASE


def test_a_live_lease_is_not_claimable_and_one_that_ran_out_is(
    announced: Announced,
) -> None:
    announced()
    assert not claimed().ends_lost_attempt
    assert Media.objects.claim() is None
    lease_runs_out()
    lease = claimed()
    assert (lease.ends_lost_attempt, lease.media.attempts) == (True, 1)
    assert Media.objects.get().attempts == 1


def test_a_file_is_left_alone_until_its_next_attempt(announced: Announced) -> None:
    announced()
    Media.objects.mark_retrying(claimed(), "later", timedelta(hours=1))
    assert Media.objects.claim() is None
    run_out(next_attempt_at=timedelta(seconds=1))
    assert claimed().media.last_error == "later"


@pytest.mark.parametrize(
    "state", [State.STORED, State.EXPIRED, State.REJECTED, State.MISSING, State.DELETED]
)
def test_a_file_that_is_done_with_is_never_claimed(
    announced: Announced, state: State
) -> None:
    announced()
    Media.objects.update(state=state)
    assert Media.objects.claim() is None
    assert Media.objects.claim_unqueued(10) == []


def test_a_hint_that_was_given_does_not_keep_a_worker_from_claiming(
    announced: Announced,
) -> None:
    media = announced()
    assert Media.objects.claim_unqueued(10) == [media.id]
    assert claimed().media == media


def test_a_file_is_queued_once_until_its_hint_has_run_out(announced: Announced) -> None:
    media = announced()
    assert Media.objects.claim_unqueued(10) == [media.id]
    assert Media.objects.claim_unqueued(10) == []
    run_out(queued_until=timedelta(seconds=1))
    assert Media.objects.claim_unqueued(10) == [media.id]
    assert QUEUED_FOR > FETCH_LEASE


def test_a_file_that_is_being_fetched_is_not_queued(announced: Announced) -> None:
    media = announced()
    claimed()
    assert Media.objects.claim_unqueued(10) == []
    lease_runs_out()
    assert Media.objects.claim_unqueued(10) == [media.id]


def test_the_most_urgent_are_queued_first(announced: Announced) -> None:
    young, old = announced(), announced(occurred_at=NOW - timedelta(days=6))
    assert Media.objects.claim_unqueued(1) == [old.id]
    assert Media.objects.claim_unqueued(1) == [young.id]


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_do_not_queue_the_same_file(announced: Announced) -> None:
    ids = {announced().id for _ in range(30)}
    taken = [
        id
        for each in race([lambda: Media.objects.claim_unqueued(10)] * 6)
        for id in each
    ]
    assert sorted(taken) == sorted(set(taken)), "queued twice"
    assert set(taken) <= ids


def test_a_lease_is_renewed_by_its_holder(announced: Announced) -> None:
    announced()
    lease = claimed()
    lease_runs_out()
    assert Media.objects.renew(lease)
    assert Media.objects.claim() is None


def test_a_lease_that_was_taken_over_is_renewed_by_its_new_holder_alone(
    announced: Announced,
) -> None:
    announced()
    late = claimed()
    lease_runs_out()
    lease = claimed()
    assert not Media.objects.renew(late)
    assert Media.objects.renew(lease)


Verb = Callable[[Lease], bool]
FAILURES: list[tuple[Verb, State]] = [
    (
        lambda lease: Media.objects.mark_retrying(lease, "why", timedelta(hours=1)),
        State.RETRYING,
    ),
    (lambda lease: Media.objects.mark_expired(lease, "why"), State.EXPIRED),
    (
        lambda lease: Media.objects.mark_rejected(lease, "why", Failure.FORBIDDEN),
        State.REJECTED,
    ),
]


@pytest.mark.parametrize(("fail", "state"), FAILURES)
def test_a_failure_ends_the_lease_and_keeps_the_reason(
    announced: Announced, fail: Verb, state: State
) -> None:
    announced()
    Media.objects.claim_unqueued(1)
    assert fail(claimed())
    row = Media.objects.get()
    assert (row.state, row.last_error) == (state, "why")
    assert (row.lease_token, row.lease_until, row.queued_until) == (None, None, None)


@pytest.mark.parametrize(("fail", "state"), FAILURES)
def test_a_failure_that_comes_late_is_not_written(
    announced: Announced, fail: Verb, state: State
) -> None:
    announced()
    late = claimed()
    lease_runs_out()
    claimed()
    before = Media.objects.values().get()
    assert not fail(late)
    assert Media.objects.values().get() == before


@pytest.mark.parametrize(("fail", "state"), FAILURES)
def test_a_failure_does_not_undo_what_happened_meanwhile(
    announced: Announced, fail: Verb, state: State
) -> None:
    announced()
    lease = claimed()
    for done in (State.STORED, State.DELETED):
        Media.objects.update(state=done)
        assert not fail(lease)
        assert Media.objects.get().state == done


def old_attempts(media: Media) -> None:
    FetchAttempt.objects.bulk_create(
        FetchAttempt(media=media, number=1, outcome="failed")
        for _ in range(MAX_PER_FILE)
    )


def test_the_newest_attempts_of_each_file_are_kept_however_they_are_numbered(
    announced: Announced,
) -> None:
    files = announced(), announced()
    for media in (*files, *files):
        old_attempts(media)
    lease = claimed()
    Media.objects.mark_retrying(lease, "the newest", timedelta(0))
    assert FetchAttempt.objects.filter(media=lease.media).count() == MAX_PER_FILE
    assert FetchAttempt.objects.filter(media=lease.media, answer="the newest").exists()
    assert FetchAttempt.objects.exclude(media=lease.media).count() == 2 * MAX_PER_FILE


def test_attempts_of_workers_that_were_lost_are_forgotten_as_well(
    announced: Announced,
) -> None:
    old_attempts(announced())
    claimed()
    lease_runs_out()
    Media.objects.mark_retrying(claimed(), "lost", timedelta(0))
    assert FetchAttempt.objects.count() == MAX_PER_FILE
    assert FetchAttempt.objects.get(answer="lost").outcome == FetchAttempt.Outcome.LOST
