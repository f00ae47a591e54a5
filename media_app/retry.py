"""When to fetch again, or to give up: a pure rule.

The first of these rules that applies decides:

1. Credentials refused: the account is paused.
2. Throttled: the account is paused. After ``give_up_at`` the second time in a row ends the
   file.
3. The storage failed: try again, for ever.
4. Too large: rejected at once.
5. Wrong bytes, and often enough: rejected.
6. Gone: tried again soon while the provider may have announced the file before it has it; expired
   when it is past ``expires_at``, and often enough.
7. Past ``give_up_at``, and at least MIN_ATTEMPTS: rejected where the provider may still have
   the file, else expired.
8. The worker was lost twice in a row: try again, with longer pauses.
9. Everything else: try again.

Often enough: at least MIN_ATTEMPTS, and the last two failed with the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from media_app.models.states import Failure
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    RefusedAddressError,
    ThrottledError,
    TooLargeError,
    UnauthorizedError,
    WorkerLostError,
    WrongBytesError,
)
from media_app.storage.base import StorageError
from media_app.timing import (
    EARLY_ANNOUNCEMENT,
    EARLY_ANNOUNCEMENT_PAUSE,
    EXPIRY_GRACE,
    FIRST_PAUSE,
    GIVE_UP_WITHOUT_EXPIRY,
    MAX_LOST_WORKER_PAUSE,
    MAX_PAUSE,
    MIN_PAUSE,
    OPERATOR_FAULT_PAUSE,
    SHORT_OUTAGE,
)

# No file is given up after fewer attempts, with two exceptions: a file that is too large, because
# no attempt can change that; and a file that is throttled twice in a row after its time is over,
# because throttled attempts do not count.
MIN_ATTEMPTS = 5

_FAILURES = {
    ForbiddenError: Failure.FORBIDDEN,
    RefusedAddressError: Failure.REFUSED_ADDRESS,
    TooLargeError: Failure.TOO_LARGE,
    WorkerLostError: Failure.WORKER_LOST,
    WrongBytesError: Failure.WRONG_BYTES,
}


class End(Enum):
    """How a fetch is given up."""

    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after this long."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class PauseAccount:
    """Leave the whole account alone for this long; the attempt does not count."""

    #: Whether the credentials were refused, or only too much was asked at once.
    is_unauthorized: bool
    length: timedelta


def decide(
    error: Exception,
    *,
    attempts: int,
    repeated: bool,
    announced_at: datetime,
    expires_at: datetime | None,
    give_up_at: datetime,
    announces_early: bool,
    now: datetime,
    jitter: float,
) -> Retry | PauseAccount | End:
    """What follows a failed attempt: the module's docstring has the rules.

    ``attempts`` counts this attempt and the earlier ones; those that paused the account do not
    count. ``repeated`` tells whether the attempt before this one failed with the same answer.
    ``expires_at`` is when the provider deletes the file (None: never), ``give_up_at`` is somewhat
    later. ``announces_early``: the source may announce a file before it has it. All times are the
    database's, ``now`` included. ``jitter`` in [0, 1) spreads the pauses.
    """
    # One answer of the provider is not final, however many attempts before it failed in an outage
    # of ours: it must answer the same twice in a row.
    often_enough = attempts >= MIN_ATTEMPTS and repeated
    age = now - announced_at
    if isinstance(error, UnauthorizedError):
        return PauseAccount(is_unauthorized=True, length=OPERATOR_FAULT_PAUSE)
    if isinstance(error, ThrottledError):
        if repeated and now > give_up_at:
            return End.EXPIRED
        # Attempts do not count here, so it is the file's age that makes the pauses grow.
        length = error.retry_after or max_pause(age) * jitter
        length = min(max(length, MIN_PAUSE), MAX_PAUSE)
        return PauseAccount(is_unauthorized=False, length=length)
    if isinstance(error, StorageError):
        return Retry(min(pause(attempts, age, jitter), OPERATOR_FAULT_PAUSE))
    if isinstance(error, TooLargeError):
        return End.REJECTED
    if isinstance(error, WrongBytesError) and often_enough:
        return End.REJECTED
    if isinstance(error, GoneError):
        if announces_early and age < EARLY_ANNOUNCEMENT:
            return Retry(EARLY_ANNOUNCEMENT_PAUSE)
        if often_enough and expires_at is not None and now > expires_at:
            return End.EXPIRED
    # Not before MIN_ATTEMPTS: a file may be announced when its time is over already.
    if now > give_up_at and attempts >= MIN_ATTEMPTS:
        return End.REJECTED if _is_there(error) else End.EXPIRED
    if isinstance(error, WorkerLostError) and repeated:
        # The file itself may be the cause: it must not kill a worker every minute.
        return Retry(doubling(attempts, MAX_LOST_WORKER_PAUSE, jitter))
    return Retry(pause(attempts, age, jitter))


def failure_of(error: Exception) -> Failure:
    """The code of an error by which a file is rejected."""
    return next(code for kind, code in _FAILURES.items() if isinstance(error, kind))


def _is_there(error: Exception) -> bool:
    """Whether the provider may still have the file: permission, our hosts or our workers were the
    obstacle.
    """
    return isinstance(error, ForbiddenError | RefusedAddressError | WorkerLostError)


def give_up_at(announced_at: datetime, expires_at: datetime | None) -> datetime:
    """Until when a file is tried."""
    if expires_at is None:
        return announced_at + GIVE_UP_WITHOUT_EXPIRY
    return expires_at + EXPIRY_GRACE


def pause(attempts: int, age: timedelta, jitter: float) -> timedelta:
    """Full jitter: at least a second, at most 4 s, 8 s, 16 s, … up to ``max_pause``."""
    return doubling(attempts, max_pause(age), jitter)


def doubling(attempts: int, longest: timedelta, jitter: float) -> timedelta:
    """Full jitter below a ceiling that doubles with each attempt, up to ``longest``."""
    ceiling = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 16), longest)
    return max(ceiling * jitter, MIN_PAUSE)


def max_pause(age: timedelta) -> timedelta:
    """The longest pause before the next attempt for a file of this age: a minute or a tenth of its
    age, whichever is longer, but at most an hour.
    """
    return min(max(SHORT_OUTAGE, age / 10), MAX_PAUSE)


def account_works(error: Exception) -> bool:
    """Whether the provider answered about the file itself: then it accepted our credentials."""
    return isinstance(
        error, ForbiddenError | GoneError | TooLargeError | WrongBytesError
    )
