"""The queue is flushed with all work in it: ``python -m bench.flush --photos 1000``.

Prints how long it takes until all is stored, with no one touching anything.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.flow.flush import flushed_queue


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=1000)
    options = parser.parse_args()
    for database in ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory() as directory:
            seconds = flushed_queue(
                Path(directory), photos=options.photos, database=database
            )
            print(
                f"{database:<8} {options.photos} files stored {seconds:.0f} s after FLUSHALL",
                flush=True,
            )


if __name__ == "__main__":
    main()
