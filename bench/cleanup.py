"""Planning a cleanup, at size: ``python -m bench.cleanup --rows 10000 1000000``.

A thousandth of the files is over, a thousandth of the objects is no file's, a thousandth of the
files is lost. Memory and seconds side by side.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.memory import Figures, measured
from bench.reconcile import DATABASES, line

# Keys by their owners: ten files each.
CHANGES = (
    "DELETE FROM media_app_media WHERE owner LIKE '%333'",
    "UPDATE media_app_media SET occurred_at = '2020-01-01 00:00:00',"
    " announced_at = '2020-01-01 00:00:00' WHERE owner LIKE '%777'",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument(
        "--database", choices=DATABASES, nargs="*", default=[*DATABASES]
    )
    options = parser.parse_args()
    failed = 0
    for database in options.database:
        for total in options.rows:
            figures = planned(total, database)
            failed |= not is_right(figures, total)
            print(line(figures, total, database), flush=True)
    return failed


def planned(total: int, database: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.jsonl"
        return measured(
            ["cleanup_media", "--plan", str(plan)],
            total=total,
            database=database,
            changes=CHANGES,
            MEDIA_RETENTION_DAYS="30",
        )


def is_right(figures: Figures, total: int) -> bool:
    """Whether all that may go was found, and nothing else: orphans only for the first time."""
    thousandth = total // 1000
    return figures.counts == {
        "planned_retention": thousandth,
        "left_seen_for_less_than_a_day": thousandth,
    }


if __name__ == "__main__":
    sys.exit(main())
