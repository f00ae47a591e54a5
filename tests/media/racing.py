"""Several threads at once, and waiting for what other processes do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def race(workers: Sequence[Callable[[], T]]) -> list[T]:
    """Run all of them at once, each in a thread; their results in order. Raises what one of them
    raised.
    """
    start = threading.Barrier(len(workers))

    def run(work: Callable[[], T]) -> T:
        try:
            start.wait(180)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(run, workers))
