"""The time that one fetch may take."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from media_app.sources.errors import UnavailableError


class Deadline:
    """The wall-clock bound of one fetch, over all its requests. Thread-safe.

    Socket time-outs never fire on a server that drips one byte a second, so when the
    time is up the sockets themselves are shut down, and whatever waits on them fails.
    Only a name look-up can't be cut: the resolver's own time-outs bind there.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._reason = ""
        self._lock = threading.Lock()
        self._held: set[socket.socket] = set()
        self._timer: threading.Timer | None = None

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raises UnavailableError when the time is up or the fetch was cut."""
        if not self._reason and self.remaining() == 0:
            self._reason = self._too_long()
        if self._reason:
            raise UnavailableError(self._reason)

    def cut(self, reason: str) -> None:
        """End the fetch now, from any thread: its running read fails with
        UnavailableError(reason).
        """
        with self._lock:
            # The reason stands before the sockets fall: a body that is cut must not look ended.
            self._reason = self._reason or reason
            for held in self._held:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def hold(self, sock: socket.socket) -> Iterator[None]:
        """Let the deadline cut this connected socket until the block ends."""
        # A duplicate: TLS moves a socket into another object and urllib3 closes it early,
        # yet shutting down any duplicate ends the connection.
        held = socket.socket(fileno=os.dup(sock.fileno()))
        try:
            with self._lock:
                self._held.add(held)
                if self._timer is None:
                    self._timer = threading.Timer(
                        self.remaining(), self.cut, [self._too_long()]
                    )
                    self._timer.daemon = True
                    self._timer.start()
            self.check()
            yield
        finally:
            with self._lock:
                self._held.discard(held)
                if not self._held and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            held.close()

    def _too_long(self) -> str:
        return f"Fetching took longer than {self._seconds:g} s."
