from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from media_app.clock import database_now
from media_app.ingest import ingest_next
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.timing import PAUSING_FILE_DELAY, TRIAL_INTERVAL
from simulator.provider import SimulatedProvider
from tests.media.files import Announced, Sent, claimed, lease_runs_out
from tests.media.racing import race
from tests.sources.calls import SECRET
from tests.sources.hostile import HostileProvider

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
Outcome = FetchAttempt.Outcome


def wait_for(*, pause: bool = True, files: bool = True) -> None:
    """As if so much time had passed."""
    if pause:
        AccountPause.objects.update(until=Now())
    if files:
        Media.objects.update(next_attempt_at=Now())


def pause(cause: str, length: timedelta) -> None:
    """Pause the account that files are announced for."""
    AccountPause.objects.pause(
        source="meta",
        account="106540352242922",
        cause=cause,
        reason=f"It is {cause}.",
        length=length,
    )


def ingest_all() -> None:
    """Fetch until nothing is due."""
    while ingest_next():
        pass


def stored() -> int:
    return Media.objects.filter(state=State.STORED).count()


# --- credentials that are refused -----------------------------------------------------


def test_a_paused_account_holds_up_no_other(
    sent: Sent, provider: SimulatedProvider
) -> None:
    sent()
    sent("twilio")
    provider.unauthorised = True
    ingest_next()
    provider.unauthorised = False
    ingest_next()
    assert Media.objects.get(state=State.STORED).source == "twilio"


def test_a_trial_whose_worker_dies_does_not_end_the_trials(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(2):
        sent()
    provider.unauthorised = True
    ingest_next()
    wait_for()
    assert Media.objects.claim() is not None
    assert Media.objects.claim() is None
    provider.unauthorised = False
    wait_for()
    ingest_next()
    ingest_next()
    assert (stored(), AccountPause.objects.count()) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_one_worker_alone_gets_the_trial(announced: Announced) -> None:
    for _ in range(8):
        announced()
    pause("unauthorized", timedelta(0))
    together = threading.Barrier(6)

    def wait_for_the_others(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        """Each has found the pause run out, and a file of its own, before one takes the trial."""
        if sql.startswith("UPDATE") and "accountpause" in sql:
            with suppress(threading.BrokenBarrierError):
                together.wait(0.5)
        return execute(sql, *args)

    def claim() -> UUID | None:
        with connection.execute_wrapper(wait_for_the_others):
            lease = Media.objects.claim()
        return lease.media.id if lease else None

    assert len([claim for claim in race([claim] * 6) if claim]) == 1


def test_many_files_of_a_refused_account_cost_one_request_each_trial(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(20):
        sent()
    provider.unauthorised = True
    for trials in range(1, 4):
        before = provider.unauthorised_calls
        wait_for()
        ingest_all()
        assert provider.unauthorised_calls - before == 1
        assert FetchAttempt.objects.count() == trials
    assert set(Media.objects.values_list("attempts", flat=True)) == {0}
    row = AccountPause.objects.get()
    assert (row.source, row.cause) == ("meta", AccountPause.Cause.UNAUTHORIZED)
    assert "META_ACCESS_TOKEN" in row.reason
    left = row.until - database_now()
    assert abs(left - TRIAL_INTERVAL) < timedelta(minutes=1)
    assert Media.objects.claim_unqueued(10) == []
    provider.unauthorised = False
    wait_for()
    ingest_all()
    assert (stored(), AccountPause.objects.count()) == (20, 0)
    assert set(Media.objects.values_list("attempts", flat=True)) == {1}


def test_staff_resume_an_account_and_all_its_other_files_are_due_at_once(
    sent: Sent, provider: SimulatedProvider
) -> None:
    refused = [sent() for _ in range(4)]
    provider.unauthorised = True
    ingest_next()
    AccountPause.objects.lift(source="meta", account=refused[0].account)
    assert len(Media.objects.claim_unqueued(10)) == 3


@pytest.mark.parametrize(
    ("behaviour", "pauses"),
    [
        *((each, 0) for each in ("api-gone", "api-403", "api-404", "gzip")),
        *((each, 1) for each in ("api-503", "503", "api-html", "401")),
    ],
)
def test_only_an_answer_about_the_file_shows_that_the_account_works(
    announced: Announced, hostile: HostileProvider, behaviour: str, pauses: int
) -> None:
    announced(provider_media_id=behaviour)
    pause("unauthorized", timedelta(0))
    ingest_next()
    assert Media.objects.get().state == State.RETRYING
    assert AccountPause.objects.in_force().count() == pauses
    assert AccountPause.objects.count() == pauses


@pytest.mark.parametrize("cause", AccountPause.Cause)
def test_a_pause_whose_cause_is_gone_ends_by_itself(
    sent: Sent, cause: AccountPause.Cause
) -> None:
    sent()
    pause(cause, timedelta(hours=1))
    assert Media.objects.claim() is None
    wait_for(files=False)
    ingest_next()
    assert (stored(), AccountPause.objects.count()) == (1, 0)


def test_a_refusal_that_comes_after_the_lease_ran_out_pauses_nobody(sent: Sent) -> None:
    sent()
    late = claimed()
    Media.objects.update(lease_until=None)
    ingest_next()
    minutes, cause = timedelta(minutes=5), AccountPause.Cause.UNAUTHORIZED
    assert not Media.objects.mark_paused(late, "why", cause=cause, length=minutes)
    assert not Media.objects.mark_retrying(late, "too late", timedelta(0))
    assert AccountPause.objects.count() == 0
    assert not FetchAttempt.objects.filter(answer__in=["why", "too late"]).exists()


def test_of_two_pauses_the_longer_one_holds() -> None:
    pause("throttled", timedelta(hours=1))
    pause("throttled", timedelta(seconds=1))
    assert AccountPause.objects.get().until > datetime.now(UTC) + timedelta(minutes=59)


@pytest.mark.parametrize(
    "causes", [("unauthorized", "throttled"), ("throttled", "unauthorized")]
)
def test_refused_credentials_outlast_a_wish_to_slow_down(
    causes: tuple[str, str],
) -> None:
    for cause in causes:
        pause(cause, timedelta(minutes=1))
    row = AccountPause.objects.get()
    assert row.cause == AccountPause.Cause.UNAUTHORIZED
    assert row.reason == "It is unauthorized."


# --- providers that ask to slow down ---------------------------------------------------


def test_an_account_that_shall_slow_down_is_left_alone_as_long_as_asked(
    announced: Announced, hostile: HostileProvider
) -> None:
    for account, behaviour in (("loud", "429"), ("loud", "photo"), ("calm", "photo")):
        announced(source="url", account=account, url=hostile.url(behaviour))
    before = database_now()
    ingest_all()
    assert Media.objects.get(state=State.STORED).account == "calm"
    row = AccountPause.objects.get()
    assert row.account == "loud" and row.until - before >= timedelta(seconds=7)
    wait_for(files=False)
    ingest_next()
    assert (stored(), AccountPause.objects.count()) == (2, 0)


@pytest.mark.parametrize("behaviour", ["api-429", "api-401"])
def test_a_file_that_alone_is_refused_does_not_hold_up_the_others(
    announced: Announced, hostile: HostileProvider, behaviour: str
) -> None:
    days_ago = datetime.now(UTC) - timedelta(days=6)
    refused = announced(provider_media_id=behaviour, occurred_at=days_ago)
    announced(provider_media_id="photo")
    ingest_next()
    # The pause is over, and the sweeper has come round.
    past = AccountPause.objects.get().until - datetime.now(UTC) + PAUSING_FILE_DELAY / 2
    AccountPause.objects.update(until=Now())
    Media.objects.update(next_attempt_at=F("next_attempt_at") - past)
    ingest_next()
    assert stored() == 1
    refused.refresh_from_db()
    assert refused.state == State.RETRYING


def test_a_file_that_is_throttled_again_and_again_waits_twice_as_long_each_time(
    announced: Announced, hostile: HostileProvider
) -> None:
    announced(source="url", account="", url=hostile.url("429"))
    behind = []
    for _ in range(8):
        wait_for()
        ingest_next()
        later = Media.objects.get().next_attempt_at - AccountPause.objects.get().until
        behind.append(round(later / PAUSING_FILE_DELAY))
    assert behind == [1, 2, 4, 8, 16, 32, 64, 64]
    assert Media.objects.get().attempts == 0


def test_a_file_that_is_throttled_past_its_time_is_given_up(
    announced: Announced, hostile: HostileProvider
) -> None:
    announced(source="url", account="", url=hostile.url("429"))
    Media.objects.update(give_up_at=Now() - timedelta(seconds=1))
    states = []
    for _ in range(2):
        wait_for()
        ingest_next()
        states.append(Media.objects.get().state)
    assert states == [State.RETRYING, State.EXPIRED]


# --- what became of each attempt ------------------------------------------------------------


def test_no_attempt_pause_or_log_tells_a_secret(
    announced: Announced, hostile: HostileProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    behaviours = ["api-token", "api-403", "api-gone", "api-throttled"]
    behaviours += ["reset-at-once", "redirect-metadata", "html"]
    link = hostile.url(f"404?signature={SECRET}")
    for name in behaviours:
        announced(provider_media_id=name, account=name, url=link)
    ingest_all()
    answers = [*FetchAttempt.objects.values_list("answer", flat=True)]
    assert len(answers) == len(behaviours) and all(answers)
    told = [*answers, *AccountPause.objects.values_list("reason", flat=True)]
    told += Media.objects.values_list("last_error", flat=True)
    assert AccountPause.objects.count() == 2
    ours = (each for each in caplog.records if each.name.startswith("media_app"))
    assert SECRET not in "".join([*told, *(str(vars(each)) for each in ours)])


def test_an_attempt_tells_how_long_it_took(sent: Sent) -> None:
    sent()
    ingest_next()
    attempt = FetchAttempt.objects.get()
    assert attempt.seconds is not None and 0 < attempt.seconds < 10
    sent()
    Media.objects.claim()
    lease_runs_out()
    ingest_next()
    assert FetchAttempt.objects.get(outcome=Outcome.LOST).seconds is None


def test_each_attempt_leaves_its_answer(
    sent: Sent, provider: SimulatedProvider
) -> None:
    media = sent()
    provider.down = True
    ingest_next()
    wait_for()
    Media.objects.claim()
    lease_runs_out()
    provider.down = False
    ingest_next()
    wait_for()
    ingest_next()
    told = media.fetch_attempts.order_by("id")
    ends = [*enumerate((Outcome.FAILED, Outcome.LOST, Outcome.STORED), start=1)]
    assert [(each.number, each.outcome) for each in told] == ends
    assert "503" in told[0].answer and "lost" in told[1].answer
