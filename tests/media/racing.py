"""Several threads at once, and waiting for what other processes do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def race(workers: Sequence[Callable[[], T]]) -> list[T]:
    """Run all of them at once, each in a thread; their results in order. Raises what one of them raised."""
    start = threading.Barrier(len(workers))

    def run(work: Callable[[], T]) -> T:
        try:
            start.wait(30)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(run, workers))


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it does not hold in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
