"""How slow a transfer may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from media_app.sources.deadline import Deadline


@dataclass(frozen=True, kw_only=True, slots=True)
class MinimumRate:
    """At least so many bytes in each stretch of so many seconds that were spent waiting for
    them.
    """

    size: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.size / self.seconds:,.0f} bytes a second"


# A server that drips would hold a worker until the fetch's deadline, and a few of them would hold
# all workers.
MINIMUM_RATE = MinimumRate(size=20_000, seconds=20)


class Pace:
    """The bytes of one transfer, against the time that was spent waiting for them. Thread-safe.

    What the reader does between two reads takes no time here: a slow disk of ours is not the
    provider's fault.
    """

    def __init__(
        self, rate: MinimumRate, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._size = 0
        self._waited = 0.0
        #: When the wait that goes on began.
        self._waits_since: float | None = None
        #: Size and time of waiting where the present stretch began.
        self._stretch = (0, 0.0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The block waits for the provider."""
        began = self._waits_since = self._clock()
        try:
            yield
        finally:
            self._waits_since = None
            self._waited += self._clock() - began

    def came(self, size: int) -> None:
        self._size += size

    def is_too_slow(self) -> bool:
        """Whether the stretch that has just ended brought too little. Ask at least once in each
        stretch.
        """
        size, waited = self._size, self._waited
        since = self._waits_since
        if since is not None:
            waited += self._clock() - since
        begin_size, begin_waited = self._stretch
        if waited - begin_waited < self.rate.seconds:
            return False
        self._stretch = (size, waited)
        return size - begin_size < self.rate.size


@contextmanager
def watched(deadline: Deadline) -> Iterator[Pace]:
    """Cut the fetch as soon as the transfer in this block is too slow, from a thread of its own.

    A thread, because a read may wait for ever: headers and chunk sizes that drip never end it.
    """
    pace, done = Pace(MINIMUM_RATE), threading.Event()

    def watch() -> None:
        while not done.wait(pace.rate.seconds / 4):
            if pace.is_too_slow():
                deadline.cut(
                    f"The provider sent less than {pace.rate}, too slow to wait for."
                )
                return

    watcher = threading.Thread(target=watch, name="pace", daemon=True)
    watcher.start()
    try:
        yield pace
    finally:
        done.set()
        watcher.join()
