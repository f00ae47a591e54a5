"""How fast a way is, and how much memory it takes."""

from __future__ import annotations

import hashlib
import re
import statistics
import subprocess
import urllib.request
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from bench.delivery_ways import NAIVE, StoredFile, Way
from bench.load import get, run

# Transfers one after another, for one client.
TRANSFERS = {"200 KB": 100, "16 MB": 8, "1 GB": 1}
# What a fast request among slow readers may take before it counts as stuck.
STUCK_SECONDS = 5


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


def check(way: Way, file: StoredFile, session: str) -> None:
    """Whether the way gives the file, byte for byte."""
    request = urllib.request.Request(
        way.url(file, session=bool(session)), headers=cookie_header(session)
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        digest = hashlib.file_digest(answer, "sha256").hexdigest()
        assert (answer.status, digest) == (200, file.sha256), way.name


def measure(
    way: Way, cell: Cell, file: StoredFile, session: str, seconds: float
) -> Measured:
    logs_in = cell.session or way.staff_only
    cookie = session if logs_in else ""
    if cell.clients > 1:
        path = way.path(file, session=logs_in)
        request = get(path, {"Host": f"127.0.0.1:{way.port}", **cookie_header(cookie)})
        load = run(way.port, repeat(request), connections=cell.clients, seconds=seconds)
        assert set(load.statuses) == {200} and set(load.lengths) == {file.size}, (
            way.name,
            cell,
            load,
        )
        return Measured(load.rate * file.size)
    before = _memory(way, renew=True)
    transfers = transfer(way.url(file, session=logs_in), TRANSFERS[cell.size], cookie)
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


def transfer(
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
    for name, value in cookie_header(session).items():
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


def cookie_header(session: str) -> dict[str, str]:
    if not session:
        return {}
    return {"Cookie": f"sessionid={session}"}


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
