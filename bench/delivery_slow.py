"""Fast requests beside readers who take little at a time."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from bench.delivery_measuring import STUCK_SECONDS, transfer
from bench.delivery_report import verdict
from bench.delivery_ways import StoredFile, Way
from bench.load import get

SLOW_READERS = 200
SLOW_RATE = 50 * 1000


class SlowReaders(threading.Thread):
    """Readers of one file who take little at a time, until they are told to go."""

    def __init__(self, way: Way, file: StoredFile) -> None:
        super().__init__()
        self._request = get(
            way.path(file, session=False), {"Host": f"127.0.0.1:{way.port}"}
        )
        self._port = way.port
        self._gone = threading.Event()
        self._got: dict[socket.socket, int] = {}

    @property
    def served(self) -> int:
        """How many have got anything of the file."""
        return sum(bool(got) for got in self._got.values())

    def __enter__(self) -> SlowReaders:
        for _ in range(SLOW_READERS):
            sock = socket.socket()
            # Before connecting: it is what the server is told.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
            sock.connect(("127.0.0.1", self._port))
            sock.sendall(self._request)
            self._got[sock] = 0
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self.join()
        for sock in self._got:
            sock.close()

    def run(self) -> None:
        while not self._gone.wait(0.1):
            for sock in self._got:
                with suppress(BlockingIOError):
                    self._got[sock] += len(
                        sock.recv(SLOW_RATE // 10, socket.MSG_DONTWAIT)
                    )


def print_slow(
    ways: Sequence[Way], files: dict[str, StoredFile], seconds: float
) -> None:
    print(
        f"\n{SLOW_READERS} readers at {SLOW_RATE // 1000} KB/s of 16 MB, and 200 KB for "
        "others on new connections"
    )
    print(
        f"{'':<22} {'served':>8} {'idle p95':>10} {'p50':>9} {'p95':>9} {'worst':>9} "
        f"{'requests':>9}  aim: p95 at most"
    )
    for way in ways:
        idle = _fast(way, files["200 KB"], min(seconds, 2.0))
        with SlowReaders(way, files["16 MB"]) as readers:
            fast = _fast(way, files["200 KB"], seconds)
            served = readers.served
        aim = max(0.1, 10 * _p95(idle))
        numbers = (_p95(idle), statistics.median(fast), _p95(fast), max(fast))
        print(
            f"{way.name:<22} {served:>4}/{SLOW_READERS}"
            + "".join(f"{number * 1000:>7.1f} ms" for number in numbers)
            + f" {len(fast):>9}  {aim * 1000:.0f} ms{verdict(_p95(fast) <= aim)}",
            flush=True,
        )


def _fast(way: Way, file: StoredFile, seconds: float) -> list[float]:
    """What each of the requests took, one after another for so long."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in transfer(way.url(file), 5, new_connections=True):
            assert (
                (one.status, one.size) == (200, file.size)
                or one.status == 0
                or one.seconds >= STUCK_SECONDS
            ), one
            took.append(one.seconds)
    return took


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
