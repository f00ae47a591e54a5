"""The status, read once for many pages."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from threading import Lock

from mediahub import status
from mediahub.status import Status

log = logging.getLogger(__name__)

# Each process reads the status this often at most, however many pages it shows.
CACHE_SECONDS = 15.0

_lock = Lock()
_cached: tuple[float, Status | None] | None = None


def look() -> Status | None:
    """The status now; None when it could not be found out, which the log then explains. Never
    raises.
    """
    global _cached
    try:
        found = status.collect()
    except Exception:
        # Whatever it is: pages must open most of all when something is wrong.
        log.exception("the status could not be read")
        found = None
    _cached = (time.monotonic(), found)
    return found


def current() -> Status | None:
    """Like ``look``, but at most ``CACHE_SECONDS`` old. Pauses are as they are now: staff have just
    lifted one.
    """
    with _lock:
        cached = _cached
        if cached is None or time.monotonic() - cached[0] >= CACHE_SECONDS:
            return look()
    if cached[1] is None:
        return None
    try:
        return replace(cached[1], pauses=status.pauses())
    except Exception:
        log.exception("the status could not be read")
        return None


def forget() -> None:
    """The next page looks again."""
    global _cached
    _cached = None
