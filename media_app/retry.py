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
    WrongBytesError,
)
from media_app.storage.base import StorageError

FIRST_PAUSE = timedelta(seconds=4)
LONGEST_PAUSE = timedelta(hours=1)
# After its expiry a file is still asked for this long: an outage of ours must not be taken for the provider's.
GRACE = timedelta(days=1)
# Sources that never forget are asked for this long.
PATIENCE = timedelta(days=30)
# What we can mend ourselves (credentials, the bucket) is tried again this often, for ever.
OURS_TO_MEND = timedelta(minutes=5)
# A provider that refuses one file, or sends it wrong, is not asked more often than this.
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
) -> Again | End:
    """What follows a failed attempt.

    ``attempts`` counts this one, whatever the others died of; ``repeated`` tells whether the one before
    failed the same way. ``expires_at`` is when the provider forgets the file (None: never), ``give_up_at``
    somewhat later. ``luck`` in [0, 1) spreads the pauses (full jitter). Whatever may pass by itself is
    retried until after the provider's expiry, never only before it.
    """
    # Attempts may all have been lost to an outage of ours: one answer of the provider's is not final then.
    often_enough = attempts >= FEW and repeated
    if isinstance(error, TooLargeError | RefusedAddressError):
        return End.REJECTED
    if isinstance(error, UnauthorizedError | StorageError):
        return Again(min(pause(attempts, luck), OURS_TO_MEND))
    if isinstance(error, ForbiddenError | WrongBytesError) and often_enough:
        return End.REJECTED
    if isinstance(error, GoneError):
        if expires_at is None and now - announced_at < EARLY:
            return Again(EARLY_PAUSE)
        if often_enough and (expires_at is None or now > expires_at):
            return End.EXPIRED
    # However late we learnt of it, it is asked for a few times.
    if now > give_up_at and attempts >= FEW:
        return End.EXPIRED
    if isinstance(error, ThrottledError) and error.retry_after is not None:
        return Again(min(max(error.retry_after, timedelta(seconds=1)), LONGEST_PAUSE) * (1 + luck / 2))
    return Again(pause(attempts, luck))


def give_up_at(announced_at: datetime, expires_at: datetime | None) -> datetime:
    """Until when a file is asked for."""
    return expires_at + GRACE if expires_at else announced_at + PATIENCE


def pause(attempts: int, luck: float) -> timedelta:
    """Full jitter: anything up to 4 s, 8 s, 16 s, … up to an hour, but at least a second."""
    ceiling: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 16), LONGEST_PAUSE)
    return max(ceiling * luck, timedelta(seconds=1))
