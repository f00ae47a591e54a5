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
from django.db.models import F, Max
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.ingest import ingest_next
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.timing import PAUSING_FILE_DELAY, TRIAL_INTERVAL
from simulator.provider import SimulatedProvider
from tests.media.files import Announced, Sent
from tests.media.racing import race
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


def test_refused_credentials_cost_one_request_and_no_attempt(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(5):
        sent()
    provider.unauthorised = True
    before = provider.unauthorised_calls
    for _ in range(5):
        ingest_next()
    assert provider.unauthorised_calls - before == 1
    assert Media.objects.aggregate(Max("attempts"))["attempts__max"] == 0
    pause = AccountPause.objects.get()
    assert (pause.source, pause.cause) == ("meta", AccountPause.Cause.UNAUTHORIZED)
    assert "META_ACCESS_TOKEN" in pause.reason
    assert Media.objects.claim_unqueued(10) == []


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


def test_a_paused_account_tries_one_file_at_a_time(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(3):
        sent()
    provider.unauthorised = True
    ingest_next()
    before = provider.unauthorised_calls
    wait_for()
    for _ in range(3):
        ingest_next()
    assert provider.unauthorised_calls - before == 1
    left = AccountPause.objects.get().until - datetime.now(UTC)
    assert (
        TRIAL_INTERVAL - timedelta(minutes=1)
        < left
        <= TRIAL_INTERVAL + timedelta(seconds=1)
    )


def test_a_trial_that_succeeds_frees_the_account(
    sent: Sent, provider: SimulatedProvider
) -> None:
    for _ in range(3):
        sent()
    provider.unauthorised = True
    ingest_next()
    provider.unauthorised = False
    wait_for()
    for _ in range(3):
        ingest_next()
    assert (stored(), AccountPause.objects.count()) == (3, 0)


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
    AccountPause.objects.pause(
        source="meta",
        account="106540352242922",
        cause="unauthorized",
        reason="why",
        length=timedelta(0),
    )

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


@pytest.mark.parametrize("behaviour", ["api-gone", "api-403", "api-404", "gzip"])
def test_an_answer_about_the_file_shows_that_the_account_works(
    announced: Announced, hostile: HostileProvider, settings: Settings, behaviour: str
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["token"]
    announced(provider_media_id=behaviour)
    pause("unauthorized", timedelta(0))
    ingest_next()
    assert (Media.objects.get().state, AccountPause.objects.count()) == (
        State.RETRYING,
        0,
    )


@pytest.mark.parametrize("behaviour", ["api-503", "503", "api-html", "401"])
def test_what_says_nothing_of_the_account_leaves_it_paused(
    announced: Announced, hostile: HostileProvider, settings: Settings, behaviour: str
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["token"]
    announced(provider_media_id=behaviour)
    pause("unauthorized", timedelta(0))
    ingest_next()
    assert AccountPause.objects.in_force().count() == 1


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
    late = Media.objects.claim()
    assert late is not None
    Media.objects.update(lease_until=None)
    ingest_next()
    assert not Media.objects.mark_paused(
        late, "why", cause=AccountPause.Cause.UNAUTHORIZED, length=timedelta(minutes=5)
    )
    assert AccountPause.objects.count() == 0


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
    assert (row.cause, row.reason) == (
        AccountPause.Cause.UNAUTHORIZED,
        "It is unauthorized.",
    )


# --- providers that ask to slow down ---------------------------------------------------


def test_an_account_that_shall_slow_down_is_left_alone_as_long_as_asked(
    announced: Announced, hostile: HostileProvider
) -> None:
    announced(source="url", account="", url=hostile.url("429"))
    announced(source="url", account="", url=hostile.url("photo"))
    ingest_next()
    ingest_next()
    left = AccountPause.objects.get().until - datetime.now(UTC)
    assert timedelta(seconds=5) < left <= timedelta(seconds=8)
    assert (stored(), Media.objects.claim()) == (0, None)
    wait_for(files=False)
    ingest_next()
    assert (stored(), AccountPause.objects.count()) == (1, 0)


@pytest.mark.parametrize("behaviour", ["api-429", "api-401"])
def test_a_file_that_alone_is_refused_does_not_hold_up_the_others(
    announced: Announced, hostile: HostileProvider, settings: Settings, behaviour: str
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["token"]
    refused = announced(
        provider_media_id=behaviour, occurred_at=datetime.now(UTC) - timedelta(days=6)
    )
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
        behind.append(
            Media.objects.get().next_attempt_at - AccountPause.objects.get().until
        )
    assert [round(each / PAUSING_FILE_DELAY) for each in behind] == [
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        64,
    ]
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


def test_only_the_account_that_asked_for_it_slows_down(
    announced: Announced, hostile: HostileProvider
) -> None:
    announced(source="url", account="loud", url=hostile.url("429"))
    announced(source="url", account="loud", url=hostile.url("photo"))
    announced(source="url", account="calm", url=hostile.url("photo"))
    ingest_next()
    ingest_all()
    assert Media.objects.get(state=State.STORED).account == "calm"
    assert AccountPause.objects.get().account == "loud"


# --- what became of each attempt ------------------------------------------------------------


def test_no_attempt_pause_or_log_tells_a_secret(
    announced: Announced,
    hostile: HostileProvider,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["hush-hush"]
    caplog.set_level(logging.DEBUG)
    behaviours = [
        "api-token",
        "api-403",
        "api-gone",
        "api-throttled",
        "reset-at-once",
        "redirect-metadata",
        "html",
    ]
    for behaviour in behaviours:
        announced(
            provider_media_id=behaviour,
            account=behaviour,
            url=hostile.url("404?signature=hush-hush"),
        )
    ingest_all()
    answers = [*FetchAttempt.objects.values_list("answer", flat=True)]
    assert len(answers) == len(behaviours) and all(answers)
    told = [*answers, *AccountPause.objects.values_list("reason", flat=True)]
    told += Media.objects.values_list("last_error", flat=True)
    assert AccountPause.objects.count() == 2
    assert "hush-hush" not in "".join(told)
    assert not [
        each
        for each in caplog.records
        if each.name.startswith("media_app") and "hush-hush" in str(vars(each))
    ]


def test_an_attempt_tells_how_long_it_took(sent: Sent) -> None:
    sent()
    ingest_next()
    attempt = FetchAttempt.objects.get()
    assert attempt.seconds is not None and 0 < attempt.seconds < 10
    sent()
    Media.objects.claim()
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))
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
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))
    provider.down = False
    ingest_next()
    wait_for()
    ingest_next()
    told = list(
        media.fetch_attempts.order_by("id").values_list("number", "outcome", "answer")
    )
    assert [each[:2] for each in told] == [
        (1, Outcome.FAILED),
        (2, Outcome.LOST),
        (3, Outcome.STORED),
    ]
    assert "503" in told[0][2]
    assert "lost" in told[1][2]


def test_an_attempt_that_was_overtaken_is_not_told_as_a_failure(sent: Sent) -> None:
    sent()
    late = Media.objects.claim()
    assert late is not None
    Media.objects.update(lease_until=None)
    ingest_next()
    assert not Media.objects.mark_retrying(late, "too late", timedelta(0))
    assert not FetchAttempt.objects.filter(answer="too late").exists()
