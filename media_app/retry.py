"""When to fetch again, or to give up: a pure rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

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

LEAST_PAUSE = timedelta(seconds=1)
FIRST_PAUSE = timedelta(seconds=4)
LONGEST_PAUSE = timedelta(hours=1)
# A file whose workers are lost one after the other, by its own fault or in a long outage of ours.
LOST_WORKERS_PAUSE = timedelta(minutes=10)
# A file is left alone no longer than a tenth of its age, or this: what failed in a short outage is
# back soon after it.
SHORT_OUTAGE = timedelta(minutes=1)
# After its expiry a file is still asked for this long: an outage of ours must not be taken for the
# provider's.
GRACE = timedelta(days=1)
# Sources that never forget are asked for this long.
PATIENCE = timedelta(days=30)
# What we can mend ourselves (credentials, the bucket) is tried again this often, for ever.
OURS_TO_MEND = timedelta(minutes=5)
# A provider that sends a file wrong is not asked more often than this; none is given up after fewer
# attempts.
FEW = 5
# Twilio announces a file up to some seconds before it serves it.
EARLY = timedelta(minutes=2)
EARLY_PAUSE = timedelta(seconds=3)


class End(Enum):
    """How a fetch is given up."""

    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Again:
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
    now: datetime,
    luck: float,
) -> Again | PauseAccount | End:
    """What follows a failed attempt.

    ``attempts`` counts this one, whatever the others died of; ``repeated`` tells whether the one
    before failed the same way. ``expires_at`` is when the provider forgets the file (None: never),
    ``give_up_at`` somewhat later. ``luck`` in [0, 1) spreads the pauses (full jitter). Whatever may
    pass by itself is retried until after the provider's expiry, never only before it. ``now`` is
    the database's: the other times are its own, too.
    """
    # Attempts may all have been lost to an outage of ours: one answer of the provider's is not
    # final then.
    often_enough = attempts >= FEW and repeated
    age = now - announced_at
    if isinstance(error, UnauthorizedError):
        return PauseAccount(is_unauthorized=True, length=OURS_TO_MEND)
    if isinstance(error, ThrottledError):
        if repeated and now > give_up_at:
            return End.EXPIRED
        # Attempts do not count here, so it is the file's age that makes the pauses grow.
        asked = error.retry_after or longest_pause(age) * luck
        return PauseAccount(
            is_unauthorized=False, length=min(max(asked, LEAST_PAUSE), LONGEST_PAUSE)
        )
    if isinstance(error, StorageError):
        return Again(min(pause(attempts, age, luck), OURS_TO_MEND))
    if isinstance(error, TooLargeError):
        return End.REJECTED
    if isinstance(error, WrongBytesError) and often_enough:
        return End.REJECTED
    if isinstance(error, GoneError):
        if expires_at is None and age < EARLY:
            return Again(EARLY_PAUSE)
        if often_enough and expires_at is not None and now > expires_at:
            return End.EXPIRED
    # However late we learnt of it, it is asked for a few times.
    if now > give_up_at and attempts >= FEW:
        # A permission may be given, a new host of the provider's allowed: until then it is not the
        # file that is wrong. A file that ends its workers is still there at the provider.
        is_there = isinstance(
            error, ForbiddenError | RefusedAddressError | WorkerLostError
        )
        return End.REJECTED if is_there else End.EXPIRED
    if isinstance(error, WorkerLostError) and repeated:
        # No short outage, but perhaps the file itself: it must not end a worker every minute.
        return Again(doubling(attempts, LOST_WORKERS_PAUSE, luck))
    return Again(pause(attempts, age, luck))


def give_up_at(announced_at: datetime, expires_at: datetime | None) -> datetime:
    """Until when a file is asked for."""
    return expires_at + GRACE if expires_at else announced_at + PATIENCE


def pause(attempts: int, age: timedelta, luck: float) -> timedelta:
    """Full jitter: at least a second, at most 4 s, 8 s, 16 s, … up to a tenth of the file's age and
    to an hour.
    """
    return doubling(attempts, longest_pause(age), luck)


def doubling(attempts: int, longest: timedelta, luck: float) -> timedelta:
    """Full jitter below a ceiling that doubles with each attempt, up to ``longest``."""
    ceiling = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 16), longest)
    return max(ceiling * luck, LEAST_PAUSE)


def longest_pause(age: timedelta) -> timedelta:
    """The longest that a file of this age is left alone."""
    return min(max(SHORT_OUTAGE, age / 10), LONGEST_PAUSE)


def shows_a_working_account(error: Exception) -> bool:
    """Whether the provider spoke of the file itself: then it took our credentials."""
    return isinstance(
        error, ForbiddenError | GoneError | TooLargeError | WrongBytesError
    )
