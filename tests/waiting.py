"""Waiting for what other processes do: bounded, and with the reason when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    condition: Callable[[], T], seconds: float = 120.0, *, every: float = 0.05
) -> T:
    """The first true value of ``condition``. Raises AssertionError with the last one after
    ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds:g} s"
        time.sleep(every)
    return value
