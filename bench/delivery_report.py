"""The table of results, beside what is aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.delivery_measuring import Cell, Measured
from bench.delivery_sizes import CLIENTS, MB, SIZES
from bench.delivery_ways import NAIVE


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


def print_cell(cell: Cell, rounds: Sequence[dict[str, Measured]]) -> None:
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
                    f"×{verdict(first <= FIRST_BYTE_TIMES * direct)}"
                )
            if name not in {*NAIVE, "S3 itself", "nginx"} and cell.size == "1 GB":
                remarks.append(f"memory ≤ {GROWTH // MB} MB{verdict(growth <= GROWTH)}")
        for target in TARGETS.get((cell.size, cell.clients, name), ()):
            reached = statistics.median(_ratios(rounds, name, target.reference))
            word = verdict(reached >= target.factor)
            remarks.append(
                f"≥ {target.factor:.2f} × {target.reference}{word} ({reached:.2f})"
            )
        print(f"{line}  {'; '.join(remarks)}".rstrip(), flush=True)


def verdict(reached: bool) -> str:
    if reached:
        return ""
    return " MISSED"


def _ratios(
    rounds: Sequence[dict[str, Measured]], name: str, reference: str
) -> list[float]:
    return [one[name].rate / one[reference].rate for one in rounds]


def _ratio(rounds: Sequence[dict[str, Measured]], name: str, reference: str) -> str:
    ratios = _ratios(rounds, name, reference)
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def _first_byte(rounds: Sequence[dict[str, Measured]], name: str) -> float:
    return statistics.median(one[name].first_byte or 0 for one in rounds)
