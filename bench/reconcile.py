"""Rows against objects, at size: ``python -m bench.reconcile --files 5000``.

First so many files on a disk and in two buckets, of which a third is lost, a hundredth altered, and
then all rows (``tests/messages/test_harmed_storage.py``, on both databases). Then the walk alone,
over ``--rows`` of rows and objects: memory and seconds side by side.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from bench.memory import Figures, measured

DATABASES = ("sqlite", "postgres")
HARM = "tests/messages/test_harmed_storage.py"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100, help="0: none")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument(
        "--database", choices=DATABASES, nargs="*", default=[*DATABASES]
    )
    options = parser.parse_args()
    failed = 0
    for database in options.database:
        if options.files:
            failed |= harm(options.files, database)
        for total in options.rows:
            figures = measured(["reconcile_media"], total=total, database=database)
            failed |= not is_right(figures, total)
            print(line(figures, total, database), flush=True)
    return failed


def harm(files: int, database: str) -> int:
    env = {**os.environ, "FILES": str(files), "TEST_DATABASE": database}
    command = [sys.executable, "-m", "pytest", "-q", HARM]
    return subprocess.run(command, env=env, check=False).returncode


def is_right(figures: Figures, total: int) -> bool:
    """Whether all harm of the listing was found, and nothing else."""
    harmed = total // 1000
    return figures.counts == {
        "same": total - 2 * harmed,
        "rows_without_object": harmed,
        "differing": harmed,
    }


def line(figures: Figures, total: int, database: str) -> str:
    counts = ", ".join(f"{number:,} {name}" for name, number in figures.counts.items())
    return (
        f"{database:<8} {total:>9,} rows: {figures.seconds:7.1f} s, "
        f"{figures.before:.0f} MB before, {figures.peak:.0f} MB at most; {counts}"
    )


if __name__ == "__main__":
    sys.exit(main())
