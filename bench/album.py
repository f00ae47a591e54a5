"""Thirty photos and DONE, all at once and in any order: ``python -m bench.album --seeds 100``.

Each seed is a customer with an order of their own; a web of four processes takes them in. Prints a
line for each database; exits 1 unless each customer was acknowledged once, the last reply and the
last revision say 30, and each revision was handed over once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.flow.albums import albums


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    options = parser.parse_args()
    problems: list[str] = []
    for database in options.database or ("sqlite", "postgres"):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            found = albums(
                Path(directory),
                database=database,
                seeds=range(options.seeds),
                at_once=options.at_once,
            )
        print(
            f"{database}: {options.seeds} albums in {time.monotonic() - began:.0f} s, "
            f"{len(found)} problems"
        )
        problems += found
    for problem in problems[:20]:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
