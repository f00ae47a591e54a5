"""Files by each of the ways, side by side: ``python -m bench.delivery``.

The three ways of MEDIA_DELIVERY, the S3 server read directly, nginx on the same file, and the views
that one writes first, all behind the real access check; in turns, so that what else runs here
weighs on all of them. Prints medians of the rounds' ratios, [lowest-highest], beside what is aimed
at; asserts that answers are right, and nothing about time, because machines are noisy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

from bench.load import get, run
from mediahub.env import BASE_DIR
from simulator.hub import Hub
from simulator.processes import (
    Process,
    accepts_connections,
    answers,
    free_port,
)
from tests.hubs import running_hub
from tests.servers import nginx_server

MB = 1000 * 1000
SIZES = {"200 KB": 200 * 1000, "16 MB": 16 * MB, "1 GB": 1000 * MB}
CLIENTS = {"200 KB": (1, 50, 1000), "16 MB": (1, 50), "1 GB": (1,)}
# Transfers one after another, for one client.
TRANSFERS = {"200 KB": 100, "16 MB": 8, "1 GB": 1}

SLOW_READERS = 200
SLOW_RATE = 50 * 1000
# What a fast request among slow readers may take before it counts as stuck.
STUCK_SECONDS = 5

NAIVE = ("naive: storages", "naive: boto3, 1 KB", "naive: boto3, 256 KB")
BESIDE_SLOW = ("S3, stream", "S3, accel", "disk, stream", "disk, accel")


@dataclass(frozen=True, slots=True)
class Target:
    """At least ``factor`` times the rate of ``reference``."""

    factor: float
    reference: str


TARGETS = {
    ("1 GB", 1, "S3, stream"): (Target(0.90, "S3 itself"),),
    ("16 MB", 1, "S3, stream"): (Target(0.75, "S3 itself"),),
    ("16 MB", 50, "S3, stream"): (Target(0.75, "S3 itself"),),
    ("200 KB", 50, "S3, stream"): (
        Target(0.25, "S3 itself"),
        Target(1.25, "naive: boto3, 1 KB"),
    ),
    **{
        (size, clients, "S3, accel"): (Target(0.95, "S3 itself"),)
        for size in SIZES
        for clients in CLIENTS[size]
    },
    ("1 GB", 1, "disk, accel"): (Target(0.75, "nginx"),),
    ("1 GB", 1, "disk, stream"): (Target(0.65, "nginx"),),
}
FIRST_BYTE_TIMES = 3
GROWTH = 32 * MB


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that every way serves."""

    path: str
    token: str
    key: str
    sha256: str
    link: str
    size: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the files. ``pid`` is gunicorn's, 0 where the hub has no part in it."""

    name: str
    port: int
    pid: int = 0
    prefix: str = ""
    #: For whoever comes by a signed link it streams.
    staff_only: bool = False

    def path(self, file: StoredFile, *, session: bool) -> str:
        if self.name == "S3 itself":
            parts = urlsplit(file.link)
            return f"{parts.path}?{parts.query}"
        if self.name == "nginx":
            return f"/{file.key}"
        return f"{self.prefix}{file.path}" + ("" if session else f"?token={file.token}")

    def url(self, file: StoredFile, *, session: bool = False) -> str:
        return f"http://127.0.0.1:{self.port}{self.path(file, session=session)}"


@dataclass(frozen=True, slots=True)
class Measured:
    #: Bytes a second.
    rate: float
    #: Seconds until the first byte; None where many share the machine.
    first_byte: float | None = None
    #: By how many bytes the hub's web processes grew meanwhile.
    growth: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """What is asked for, by how many at once, and how they are let in."""

    size: str
    clients: int
    session: bool = False

    def __str__(self) -> str:
        access = "staff session" if self.session else "signed link"
        return f"{self.size}, {self.clients} client{'s' * (self.clients > 1)}, {access}"

    def has(self, way: Way) -> bool:
        """Naive views take minutes over what is no question of theirs; at 1 GB one of them shows
        its memory.
        """
        if self.size == "1 GB":
            return way.name not in NAIVE[1:]
        return way.name not in NAIVE or (self.size, self.clients) not in {
            ("200 KB", 1000),
            ("16 MB", 50),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of each load by 50 or 1000 clients"
    )
    parser.add_argument(
        "--slow-seconds",
        type=float,
        default=10.0,
        help="of each test with slow readers; 0: none",
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 50, 1000])
    parser.add_argument(
        "--session",
        action="store_true",
        help="let in by a login everywhere, not by signed links",
    )
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument(
        "--short", action="store_true", help="200 KB, up to 50 clients, one round"
    )
    options = parser.parse_args()
    if options.short:
        options.rounds, options.sizes, options.clients = 1, ["200 KB"], [1, 50]
        options.seconds, options.slow_seconds = 0.4, 2.0
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory() as directory,
        _ways(Path(directory), options.database) as (hub, ways),
    ):
        sizes = {
            name: SIZES[name]
            for name in {
                *options.sizes,
                *(["200 KB", "16 MB"] * bool(options.slow_seconds)),
            }
        }
        session, files = _keep_files(hub, sizes)
        cells = [
            Cell(size, clients, options.session)
            for size in options.sizes
            for clients in CLIENTS[size]
            if clients in options.clients
        ]
        if Cell("200 KB", 50) in cells:
            cells.insert(
                cells.index(Cell("200 KB", 50)) + 1, Cell("200 KB", 50, session=True)
            )
        for way in ways:
            for size in {cell.size: None for cell in cells if cell.has(way)}:
                _check(
                    way,
                    files[size],
                    session if options.session or way.staff_only else "",
                )
        results: dict[Cell, list[dict[str, Measured]]] = defaultdict(list)
        for number in range(options.rounds + 1):
            for cell in cells:
                # Large files need no warming: each way has been read to the end once, when it was
                # checked.
                if number or cell.size == "200 KB":
                    measured = {
                        way.name: _measure(
                            way, cell, files[cell.size], session, options.seconds
                        )
                        for way in ways
                        if cell.has(way)
                    }
                    if number:  # the first round warms up
                        results[cell].append(measured)
            print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
        for cell, rounds in results.items():
            _print(cell, rounds)
        if options.slow_seconds:
            beside = BESIDE_SLOW[:1] if options.short else BESIDE_SLOW
            _print_slow(
                [way for way in ways if way.name in beside], files, options.slow_seconds
            )


# --- servers ----------------------------------------------------------------


@contextmanager
def _ways(directory: Path, database: str) -> Iterator[tuple[Hub, list[Way]]]:
    """One database and one bucket; a web server for each way, and nginx where it belongs."""
    env = {
        "DJANGO_SETTINGS_MODULE": "bench.delivery_settings",
        "LOG_LEVEL": "WARNING",
    }
    with ExitStack() as stack:
        hub = stack.enter_context(
            running_hub(directory, database=database, storage="rclone", env=env)
        )
        # What is measured is files; the work behind messages would share the processors.
        hub.worker.stop()
        hub.sweeper.stop()
        bucket = int(hub.env["AWS_S3_ENDPOINT_URL"].rpartition(":")[2])
        media = Path(hub.env["MEDIA_ROOT"])
        media.mkdir(exist_ok=True)

        def web(name: str, **env: str) -> tuple[int, int]:
            port = free_port()
            process = Process(
                name,
                [
                    sys.executable,
                    "-m",
                    "gunicorn",
                    "mediahub.wsgi",
                    "--bind",
                    f"127.0.0.1:{port}",
                ],
                log=directory / f"{name}.log",
                env={**hub.env, **env},
                cwd=BASE_DIR,
                ready=answers(f"http://127.0.0.1:{port}/healthz"),
            )
            return _running(stack, process, port), process.pid

        def nginx(name: str, behind: int) -> int:
            place, port = directory / name, free_port()
            place.mkdir()
            return _running(
                stack,
                nginx_server(place, port, hub=behind, media_root=media, bucket=bucket),
                port,
            )

        bucket_accel, bucket_accel_pid = web("bucket-accel", MEDIA_DELIVERY="accel")
        disk_accel, disk_accel_pid = web(
            "disk-accel", MEDIA_DELIVERY="accel", MEDIA_STORAGE_BACKEND="local"
        )
        naive = web("naive")
        plain = free_port()
        yield (
            hub,
            [
                Way("S3 itself", bucket),
                Way("S3, stream", hub.port, hub.web.pid),
                Way("S3, accel", nginx("nginx-bucket", bucket_accel), bucket_accel_pid),
                Way(
                    "S3, redirect",
                    *web("redirect", MEDIA_DELIVERY="redirect"),
                    staff_only=True,
                ),
                Way("naive: storages", *naive, prefix="/storages"),
                Way("naive: boto3, 1 KB", *naive, prefix="/boto3/1024"),
                Way("naive: boto3, 256 KB", *naive, prefix="/boto3/262144"),
                Way(
                    "nginx",
                    _running(stack, _plain_nginx(directory, plain, media), plain),
                ),
                Way("disk, stream", *web("disk-stream", MEDIA_STORAGE_BACKEND="local")),
                Way("disk, accel", nginx("nginx-disk", disk_accel), disk_accel_pid),
            ],
        )


def _running(stack: ExitStack, process: Process, port: int) -> int:
    process.start()
    stack.callback(process.stop)
    return port


def _plain_nginx(directory: Path, port: int, media: Path) -> Process:
    """nginx with nothing but a folder."""
    config = directory / "plain.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        f"pid {directory}/plain.pid; daemon off; {user} worker_processes auto; "
        "worker_rlimit_nofile 20000;\n"
        "events { worker_connections 8192; }\n"
        "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{port}; root {media}; }} }}\n"
    )
    return Process(
        "plain-nginx",
        ["nginx", "-c", config, "-e", "stderr"],
        log=directory / "plain.log",
        ready=accepts_connections(port),
    )


def _keep_files(hub: Hub, sizes: dict[str, int]) -> tuple[str, dict[str, StoredFile]]:
    """A superuser's session, and a file of each size."""
    code = f"from bench.delivery_files import keep_files; keep_files({sizes!r})"
    kept = json.loads(hub.manage("shell", "--no-imports", "-c", code))
    return kept["session"], {
        name: StoredFile(**file, size=sizes[name])
        for name, file in kept["files"].items()
    }


# --- measuring --------------------------------------------------------------


def _check(way: Way, file: StoredFile, session: str) -> None:
    """Whether the way gives the file, byte for byte."""
    request = urllib.request.Request(
        way.url(file, session=bool(session)), headers=_cookie(session)
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        digest = hashlib.file_digest(answer, "sha256").hexdigest()
        assert (answer.status, digest) == (200, file.sha256), way.name


def _measure(
    way: Way, cell: Cell, file: StoredFile, session: str, seconds: float
) -> Measured:
    logs_in = cell.session or way.staff_only
    cookie = session if logs_in else ""
    if cell.clients > 1:
        path = way.path(file, session=logs_in)
        request = get(path, {"Host": f"127.0.0.1:{way.port}", **_cookie(cookie)})
        load = run(way.port, repeat(request), connections=cell.clients, seconds=seconds)
        assert set(load.statuses) == {200} and set(load.lengths) == {file.size}, (
            way.name,
            cell,
            load,
        )
        return Measured(load.rate * file.size)
    before = _memory(way, renew=True)
    transfers = _transfers(way.url(file, session=logs_in), TRANSFERS[cell.size], cookie)
    growth = _memory(way) - before if way.pid else None
    assert all((one.status, one.size) == (200, file.size) for one in transfers), (
        way.name,
        cell,
        transfers,
    )
    return Measured(
        rate=len(transfers) * file.size / sum(one.seconds for one in transfers),
        first_byte=statistics.median(one.first_byte for one in transfers),
        growth=growth,
    )


@dataclass(frozen=True, slots=True)
class Transfer:
    status: int
    size: int
    seconds: float
    first_byte: float


def _transfers(
    url: str, count: int, session: str = "", *, new_connections: bool = False
) -> list[Transfer]:
    """The same file so often, one after another, by curl; a status of 0 where that took too
    long.
    """
    # A fragment is not sent; its range makes curl ask so often.
    arguments = [
        "curl",
        "--silent",
        "--noproxy",
        "*",
        "--location",
        "--output",
        "/dev/null",
        f"{url}#[1-{count}]",
    ]
    for name, value in _cookie(session).items():
        arguments += ["--header", f"{name}: {value}"]
    if new_connections:
        arguments += ["--header", "Connection: close", "--max-time", str(STUCK_SECONDS)]
    arguments += [
        "--write-out",
        "%{http_code} %{size_download} %{time_total} %{time_starttransfer}\n",
    ]
    lines = subprocess.run(
        arguments, stdout=subprocess.PIPE, text=True, check=False
    ).stdout.splitlines()
    return [
        Transfer(int(status), int(size), float(total), float(first))
        for status, size, total, first in (line.split() for line in lines)
    ]


def _cookie(session: str) -> dict[str, str]:
    return {"Cookie": f"sessionid={session}"} if session else {}


def _memory(way: Way, *, renew: bool = False) -> int:
    """The most bytes that each of the way's web processes held since its mark was renewed, added
    up.
    """
    total = 0
    for pid in (
        Path(f"/proc/{way.pid}/task/{way.pid}/children").read_text().split()
        if way.pid
        else ()
    ):
        if renew:
            # proc(5): 5 sets the mark of the peak back.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert found is not None
        total += int(found[1]) * 1024
    return total


# --- slow readers -----------------------------------------------------------


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


def _print_slow(
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
            + f" {len(fast):>9}  {aim * 1000:.0f} ms{_verdict(_p95(fast) <= aim)}",
            flush=True,
        )


def _fast(way: Way, file: StoredFile, seconds: float) -> list[float]:
    """What each of the requests took, one after another for so long."""
    took: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in _transfers(way.url(file), 5, new_connections=True):
            assert (
                (one.status, one.size) == (200, file.size)
                or one.status == 0
                or one.seconds >= STUCK_SECONDS
            ), one
            took.append(one.seconds)
    return took


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


# --- printing ---------------------------------------------------------------


def _print(cell: Cell, rounds: Sequence[dict[str, Measured]]) -> None:
    small = cell.size == "200 KB"
    print(
        f"\n{cell}\n{'':<22} {'files/s' if small else 'MB/s':>8} {'/ S3 itself':>18} "
        f"{'/ nginx':>18}"
        + (
            f" {'first byte':>11} {'/ S3':>6} {'memory':>8}"
            if cell.clients == 1
            else ""
        )
    )
    for name in rounds[0]:
        rate = statistics.median(one[name].rate for one in rounds) / (
            SIZES[cell.size] if small else MB
        )
        line = (
            f"{name:<22} {rate:>8.0f} {_ratio(rounds, name, 'S3 itself'):>18} "
            f"{_ratio(rounds, name, 'nginx'):>18}"
        )
        remarks = []
        if cell.clients == 1:
            first, direct = _first_byte(rounds, name), _first_byte(rounds, "S3 itself")
            growth = max((one[name].growth or 0 for one in rounds), default=0)
            line += f" {first * 1000:>8.1f} ms {first / direct:>6.1f} {growth / MB:>+5.0f} MB"
            if name in {"S3, stream", "S3, accel", "S3, redirect"}:
                remarks.append(
                    f"first byte ≤ {FIRST_BYTE_TIMES} "
                    f"×{_verdict(first <= FIRST_BYTE_TIMES * direct)}"
                )
            if name not in {*NAIVE, "S3 itself", "nginx"} and cell.size == "1 GB":
                remarks.append(
                    f"memory ≤ {GROWTH // MB} MB{_verdict(growth <= GROWTH)}"
                )
        for target in TARGETS.get((cell.size, cell.clients, name), ()):
            reached = statistics.median(_ratios(rounds, name, target.reference))
            verdict = _verdict(reached >= target.factor)
            remarks.append(
                f"≥ {target.factor:.2f} × {target.reference}{verdict} ({reached:.2f})"
            )
        print(f"{line}  {'; '.join(remarks)}".rstrip(), flush=True)


def _verdict(reached: bool) -> str:
    return "" if reached else " MISSED"


def _ratios(
    rounds: Sequence[dict[str, Measured]], name: str, reference: str
) -> list[float]:
    return [one[name].rate / one[reference].rate for one in rounds]


def _ratio(rounds: Sequence[dict[str, Measured]], name: str, reference: str) -> str:
    ratios = _ratios(rounds, name, reference)
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def _first_byte(rounds: Sequence[dict[str, Measured]], name: str) -> float:
    return statistics.median(one[name].first_byte or 0 for one in rounds)


if __name__ == "__main__":
    main()
