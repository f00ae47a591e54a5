"""Files by each of the ways, side by side: ``python -m bench.delivery``.

The three ways of MEDIA_DELIVERY, the S3 server read directly, nginx on the same file, and the views
that one writes first, all behind the real access check; in turns, so that what else runs here
weighs on all of them. Prints medians of the rounds' ratios, [lowest-highest], beside what is aimed
at; asserts that answers are right, and nothing about time, because machines are noisy.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.delivery_measuring import Cell, Measured, check, measure
from bench.delivery_report import print_cell
from bench.delivery_sizes import CLIENTS, SIZES
from bench.delivery_slow import print_slow
from bench.delivery_ways import StoredFile, Way, keep_files, running_ways

BESIDE_SLOW = ("S3, stream", "S3, accel", "disk, stream", "disk, accel")


def main() -> None:
    options = _options()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cells = _cells(options)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_ways(Path(directory), options.database) as (hub, ways),
    ):
        names = set(options.sizes)
        if options.slow_seconds:
            names |= {"200 KB", "16 MB"}
        session, files = keep_files(hub, {name: SIZES[name] for name in names})
        for way in ways:
            logs_in = options.session or way.staff_only
            for size in {cell.size: None for cell in cells if cell.has(way)}:
                check(way, files[size], session if logs_in else "")
        for cell, rounds in _rounds(options, cells, ways, files, session).items():
            print_cell(cell, rounds)
        if options.slow_seconds:
            beside = BESIDE_SLOW[:1] if options.short else BESIDE_SLOW
            chosen = [way for way in ways if way.name in beside]
            print_slow(chosen, files, options.slow_seconds)


def _options() -> argparse.Namespace:
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
    return options


def _cells(options: argparse.Namespace) -> list[Cell]:
    cells = [
        Cell(size, clients, options.session)
        for size in options.sizes
        for clients in CLIENTS[size]
        if clients in options.clients
    ]
    usual = Cell("200 KB", 50)
    if usual in cells:
        cells.insert(cells.index(usual) + 1, Cell("200 KB", 50, session=True))
    return cells


def _rounds(
    options: argparse.Namespace,
    cells: Sequence[Cell],
    ways: Sequence[Way],
    files: Mapping[str, StoredFile],
    session: str,
) -> dict[Cell, list[dict[str, Measured]]]:
    """What each round has measured, by cell; the first round warms up and is left out."""
    results: dict[Cell, list[dict[str, Measured]]] = defaultdict(list)
    for number in range(options.rounds + 1):
        for cell in cells:
            # Large files need no warming: each way was read to the end once, when it was checked.
            if number == 0 and cell.size != "200 KB":
                continue
            file = files[cell.size]
            measured = {
                way.name: measure(way, cell, file, session, options.seconds)
                for way in ways
                if cell.has(way)
            }
            if number:
                results[cell].append(measured)
        print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    main()
