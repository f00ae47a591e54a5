"""Gunicorn's threaded worker, where senders that are slow, or never end, take only a part of the
threads.

Gunicorn itself waits for the rest of a request without a limit: as many silent connections as there
are threads stop the server.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Any

from gunicorn.workers.gthread import _DEFER, ThreadWorker

#: From the first byte of a request to its last. A delivery of Meta's has 3 MB at most.
REQUEST_SECONDS = 30.0
#: How long a connection that is over waits for its client to hang up, and how much is read
#: meanwhile.
LINGER_SECONDS = 2.0
LINGER_READS = 16


class ReadingSocket(socket.socket):
    """A client's connection. Bytes that are there are read at once; waiting for more takes one of a
    few slots.
    """

    slots: BoundedSemaphore
    ends_at = float("inf")

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As ``socket.recv``. Raises ConnectionResetError where the request takes too long, or no
        slot is free.
        """
        limit = self.gettimeout()
        if limit:
            # Python would wait by itself, without a slot.
            self.settimeout(None)
            self.ends_at = min(self.ends_at, time.monotonic() + limit)
        while True:
            try:
                return super().recv(size, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._wait()

    def linger(self) -> None:
        """Let the last answer arrive: read on until the client hangs up, for a short while.

        Gunicorn does so in the one thread that accepts connections, 2 seconds for each client that
        stays.
        """
        self.ends_at = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self.settimeout(None)
            self.shutdown(socket.SHUT_WR)
            for _ in range(LINGER_READS):
                if not self.recv(4096):
                    break
            self.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        left = self.ends_at - time.monotonic()
        if left > 0 and self.slots.acquire(blocking=False):
            try:
                poll = select.poll()
                poll.register(self, select.POLLIN)
                if poll.poll(min(left, REQUEST_SECONDS) * 1000):
                    return
            finally:
                self.slots.release()
        # Nothing is left to linger for.
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError(errno.ECONNRESET, "the request did not come in time")


class Worker(ThreadWorker):
    """Half of the threads may wait for the rest of requests that have begun; none waits for one to
    begin.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._slots = BoundedSemaphore(max(self.cfg.threads // 2, 1))

    def handle(self, conn: Any) -> Any:
        """Serve a connection with a request on it; one without goes back to the poller at once."""
        if not isinstance(conn.sock, ReadingSocket):
            plain = conn.sock
            conn.sock = ReadingSocket(
                plain.family, plain.type, plain.proto, fileno=plain.detach()
            )
            conn.sock.slots = self._slots
        if not conn.initialized and not conn.data_ready:
            conn.data_ready = conn.wait_for_data(0)
        if conn.initialized or conn.data_ready:
            conn.sock.ends_at = time.monotonic() + REQUEST_SECONDS
        else:
            # The base class looks once more, for some seconds: not in this thread.
            return _DEFER
        keeps = super().handle(conn)  # type: ignore[no-untyped-call]
        if not keeps:
            conn.sock.linger()
        return keeps
