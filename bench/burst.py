"""The bug that this hub exists for, again and again: ``python -m bench.burst --runs 10``.

30 photos from each of 20 senders, every delivery posted three times and all of them at
once, to a web of four processes. Prints a line for each run; exits 1 unless each ended
with 600 files, 600 objects, 600 messages, 20 contacts, and every digest equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.hubs import running_hub, simulate

PHOTOS, SENDERS, DUPLICATES, PARALLEL = 30, 20, 3, 60
STORED_WITHIN = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    options = parser.parse_args()
    print(
        "database  run  posted  media  objects  messages  contacts  verified  doubled  p99 ms "
        " stored after"
    )
    for database in options.database or ("sqlite", "postgres"):
        with (
            tempfile.TemporaryDirectory() as directory,
            running_hub(Path(directory), database=database, web_processes=4) as hub,
        ):
            for run in range(1, options.runs + 1):
                found = simulate(
                    hub,
                    *(
                        "--photos",
                        str(PHOTOS),
                        "--senders",
                        str(SENDERS),
                        "--duplicates",
                        str(DUPLICATES),
                    ),
                    *("--parallel", str(PARALLEL), "--seed", str(run)),
                )
                webhooks = found["webhooks"]
                print(
                    f"{database:<8} {run:>4} {sum(webhooks['statuses'].values()):>7} "
                    f"{found['stored']:>6}"
                    f" {found['objects']:>8} {found['messages']:>9} {found['contacts']:>9} "
                    f"{found['verified']:>9}"
                    f" {found['doubled']:>8} {webhooks['p99_ms']:>7} {found['seconds']:>11} s",
                    flush=True,
                )
                total = PHOTOS * SENDERS
                if (
                    found["verified"],
                    found["objects"],
                    found["messages"],
                    found["contacts"],
                ) != (
                    *(total,) * 3,
                    SENDERS,
                ):
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
