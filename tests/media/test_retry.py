from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_app import retry
from media_app.retry import MIN_ATTEMPTS, End, PauseAccount, Retry, decide, pause
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    RefusedAddressError,
    SourceError,
    ThrottledError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    WorkerLostError,
    WrongBytesError,
)
from media_app.storage import StorageError
from media_app.timing import (
    EARLY_ANNOUNCEMENT,
    EARLY_ANNOUNCEMENT_PAUSE,
    EXPIRY_GRACE,
    MAX_LOST_WORKER_PAUSE,
    MAX_PAUSE,
    OPERATOR_FAULT_PAUSE,
    SHORT_OUTAGE,
)

ANNOUNCED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)

ours = StorageError("no")
passing = UnavailableError("no")
refusals = [ForbiddenError("no"), RefusedAddressError("no")]


def follows(
    error: Exception, *, after: timedelta = HOUR, expires: bool = True, **words: Any
) -> Retry | PauseAccount | End:
    """What follows an error ``after`` the announcement, of a file that its provider keeps for a
    week, or for ever.
    """
    expires_at = ANNOUNCED + WEEK if expires else None
    said = {"attempts": 1, "repeated": False, "jitter": 0.5}
    return decide(
        error,
        announced_at=ANNOUNCED,
        expires_at=expires_at,
        give_up_at=retry.give_up_at(ANNOUNCED, expires_at),
        announces_early=expires_at is None,
        now=ANNOUNCED + after,
        **{**said, **words},
    )


OFTEN: dict[str, Any] = {"attempts": MIN_ATTEMPTS, "repeated": True}
LATE: dict[str, Any] = {"after": WEEK + HOUR}
TOO_LATE = {"after": WEEK + EXPIRY_GRACE + HOUR}
FOR_EVER: dict[str, Any] = {"expires": False}
YEARS: dict[str, Any] = {"after": timedelta(days=999)}


@pytest.mark.parametrize(
    ("error", "words", "end"),
    [
        # Nothing that time would mend.
        (TooLargeError("no"), {}, End.REJECTED),
        # What somebody may allow some day.
        *((error, {"attempts": 99, "repeated": True}, None) for error in refusals),
        *((error, {**LATE, **OFTEN}, None) for error in refusals),
        *(
            (error, {**TOO_LATE, **OFTEN, "attempts": MIN_ATTEMPTS - 1}, None)
            for error in refusals
        ),
        *(
            (error, {**TOO_LATE, "attempts": MIN_ATTEMPTS}, End.REJECTED)
            for error in refusals
        ),
        *(
            (error, {**FOR_EVER, **OFTEN, "after": timedelta(days=29)}, None)
            for error in refusals
        ),
        *(
            (error, {**FOR_EVER, **OFTEN, "after": timedelta(days=31)}, End.REJECTED)
            for error in refusals
        ),
        # What the provider may have meant for the moment: a few times, and twice running.
        (WrongBytesError("no"), {"attempts": MIN_ATTEMPTS - 1, "repeated": True}, None),
        (WrongBytesError("no"), {"attempts": 99, "repeated": False}, None),
        (WrongBytesError("no"), OFTEN, End.REJECTED),
        # Gone: believed once its time is over; where it has no time of its own, as late as anything
        # else.
        (GoneError("no"), {"attempts": 99, "repeated": True}, None),
        (
            GoneError("no"),
            {**LATE, "attempts": MIN_ATTEMPTS - 1, "repeated": True},
            None,
        ),
        (GoneError("no"), {**LATE, "attempts": 99}, None),
        (GoneError("no"), {**LATE, **OFTEN}, End.EXPIRED),
        (GoneError("no"), {**FOR_EVER, **OFTEN, "after": timedelta(minutes=3)}, None),
        (GoneError("no"), {**FOR_EVER, **OFTEN, "after": timedelta(days=29)}, None),
        (
            GoneError("no"),
            {**FOR_EVER, **OFTEN, "after": timedelta(days=31)},
            End.EXPIRED,
        ),
        # Twilio announces early.
        (
            GoneError("no"),
            {
                **FOR_EVER,
                "attempts": 99,
                "repeated": True,
                "after": timedelta(seconds=119),
            },
            None,
        ),
        # What passes by itself: until a day after the expiry, but never after one try alone.
        (passing, {**LATE, "attempts": 999, "repeated": True}, None),
        (passing, {**TOO_LATE, "attempts": MIN_ATTEMPTS}, End.EXPIRED),
        (passing, {**TOO_LATE, "attempts": MIN_ATTEMPTS - 1}, None),
        (passing, {**FOR_EVER, **OFTEN, "after": timedelta(days=29)}, None),
        (passing, {**FOR_EVER, **OFTEN, "after": timedelta(days=31)}, End.EXPIRED),
        # Too much asked for, of a file whose time is over.
        (ThrottledError("no"), {**TOO_LATE, "repeated": True}, End.EXPIRED),
        (ThrottledError("no"), {**FOR_EVER, **YEARS, "repeated": True}, End.EXPIRED),
        # A file that ends its workers: given up as late as anything else.
        (WorkerLostError(), {"attempts": 999, "repeated": True}, None),
        (
            WorkerLostError(),
            {**TOO_LATE, "attempts": MIN_ATTEMPTS - 1, "repeated": True},
            None,
        ),
        (WorkerLostError(), {**TOO_LATE, **OFTEN}, End.REJECTED),
        # What we have to mend is never the file's fault.
        (ours, {**YEARS, **OFTEN}, None),
        (ours, {**YEARS, **OFTEN, **FOR_EVER}, None),
    ],
)
def test_what_follows_an_error(
    error: Exception, words: dict[str, Any], end: End | None
) -> None:
    decision = follows(error, **words)
    assert decision is end if end else isinstance(decision, Retry)


def test_a_file_that_is_announced_before_it_is_there_is_asked_for_soon() -> None:
    assert follows(
        GoneError("no"), expires=False, after=timedelta(seconds=1), attempts=3
    ) == Retry(EARLY_ANNOUNCEMENT_PAUSE)


def test_a_file_that_is_not_there_after_two_minutes_is_asked_for_ever_less_often() -> (
    None
):
    def gone(attempts: int, after: timedelta) -> Retry | PauseAccount | End:
        return follows(
            GoneError("no"),
            expires=False,
            after=after,
            attempts=attempts,
            repeated=True,
            jitter=0.999,
        )

    soon, late = gone(40, EARLY_ANNOUNCEMENT), gone(99, timedelta(days=1))
    assert (
        isinstance(soon, Retry)
        and EARLY_ANNOUNCEMENT_PAUSE < soon.after <= SHORT_OUTAGE
    )
    assert isinstance(late, Retry) and MAX_PAUSE * 0.9 < late.after <= MAX_PAUSE


def test_one_lost_worker_costs_a_young_file_a_minute_at_most_and_many_ten() -> None:
    def lost(attempts: int, *, repeated: bool) -> Retry | PauseAccount | End:
        return follows(
            WorkerLostError(),
            attempts=attempts,
            repeated=repeated,
            after=timedelta(0),
            jitter=0.999,
        )

    once, often = lost(99, repeated=False), lost(99, repeated=True)
    assert isinstance(once, Retry) and once.after <= SHORT_OUTAGE
    assert isinstance(often, Retry)
    assert MAX_LOST_WORKER_PAUSE * 0.9 < often.after <= MAX_LOST_WORKER_PAUSE


@pytest.mark.parametrize("words", [LATE, {**YEARS, "repeated": False}])
def test_one_wish_to_slow_down_never_ends_a_file(words: dict[str, Any]) -> None:
    assert isinstance(
        follows(ThrottledError("no"), **{"repeated": True, **words}), PauseAccount
    )


@pytest.mark.parametrize(
    "words", [{}, OFTEN, {**YEARS, **OFTEN}, {**YEARS, **OFTEN, **FOR_EVER}]
)
def test_refused_credentials_pause_the_account_and_never_end_a_file(
    words: dict[str, Any],
) -> None:
    decision = follows(UnauthorizedError("no"), **words)
    assert decision == PauseAccount(is_unauthorized=True, length=OPERATOR_FAULT_PAUSE)


@pytest.mark.parametrize(
    ("asked", "length"),
    [
        (timedelta(seconds=30), timedelta(seconds=30)),
        (timedelta(milliseconds=1), timedelta(seconds=1)),
        (timedelta(days=3), MAX_PAUSE),
        (None, MAX_PAUSE / 2),
    ],
)
def test_a_provider_that_asks_to_slow_down_is_left_alone_as_long(
    asked: timedelta | None, length: timedelta
) -> None:
    decision = follows(ThrottledError("no", asked), **YEARS)
    assert decision == PauseAccount(is_unauthorized=False, length=length)


jitter = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10**6)
ages = st.timedeltas(timedelta(0), timedelta(days=30))


@pytest.mark.parametrize(
    ("attempts", "hours", "seconds"),
    [(1, 24, 2), (2, 24, 4), (3, 24, 8), (30, 5, 900), (30, 24, 1800)],
)
def test_a_pause_doubles_up_to_a_tenth_of_the_age(
    attempts: int, hours: int, seconds: int
) -> None:
    paused = pause(attempts, timedelta(hours=hours), 0.5)
    assert paused == timedelta(seconds=seconds)


@given(attempts, ages, jitter)
def test_a_pause_is_spread_below_a_ceiling_that_doubles(
    attempts: int, age: timedelta, jitter: float
) -> None:
    ceiling = min(timedelta(seconds=4) * 2 ** min(attempts - 1, 20), timedelta(hours=1))
    assert (
        timedelta(seconds=1)
        <= pause(attempts, age, jitter)
        <= max(ceiling * jitter, timedelta(seconds=1))
    )


@given(attempts, jitter)
def test_what_is_young_is_back_soon_after_a_short_outage(
    attempts: int, jitter: float
) -> None:
    assert pause(attempts, timedelta(minutes=9), jitter) <= SHORT_OUTAGE
    assert pause(99, timedelta(minutes=9), 0.999) > SHORT_OUTAGE * 0.9
    assert pause(99, timedelta(days=1), 0.999) > MAX_PAUSE * 0.9


@given(attempts, jitter)
def test_a_bucket_that_was_mended_is_found_out_within_five_minutes(
    attempts: int, jitter: float
) -> None:
    decision = follows(ours, attempts=attempts, jitter=jitter, after=timedelta(days=3))
    assert isinstance(decision, Retry) and decision.after <= OPERATOR_FAULT_PAUSE


@given(
    st.sampled_from(
        [
            *(ours, passing, *refusals),
            *(
                UnauthorizedError("no"),
                ThrottledError("no"),
                GoneError("no"),
                SourceError("no"),
            ),
        ]
    ),
    attempts,
    st.booleans(),
    jitter,
    st.timedeltas(timedelta(0), WEEK),
)
def test_no_file_is_given_up_before_its_provider_forgets_it(
    error: Exception, attempts: int, repeated: bool, jitter: float, after: timedelta
) -> None:
    decision = follows(
        error, attempts=attempts, repeated=repeated, jitter=jitter, after=after
    )
    assert isinstance(decision, Retry | PauseAccount)


@pytest.mark.parametrize("error", [GoneError("no"), passing])
def test_a_file_that_never_comes_is_given_up_after_some_hundred_attempts(
    error: SourceError,
) -> None:
    after, attempts = timedelta(0), 1
    while isinstance(
        decision := follows(error, attempts=attempts, repeated=True, after=after), Retry
    ):
        after, attempts = after + decision.after, attempts + 1
    assert WEEK < after < WEEK + EXPIRY_GRACE + HOUR
    assert 300 < attempts < 500
