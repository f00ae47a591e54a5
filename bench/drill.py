"""Outages under live conversations: ``python -m bench.drill --conversations 500 --seconds 60``.

Web ×2, workers ×2, sweeper, Redis's protocol, PostgreSQL and an S3 server are real processes; the
clock of one worker is ten minutes slow. Customers say SELL, send photos, say DONE, and then SKIP or
some details. Meanwhile the provider refuses our credentials, slows us down, answers 503, and is
silent; and Redis, PostgreSQL and the bucket are killed and stay away, one after the other. After
each outage staff press Resume for the accounts that are paused.

Prints a line after each outage; exits 1 unless in the end

- each reply was sent once, or is ``unknown`` and was sent at most once,
- each revision of each session was handed over, with the same body for the same Idempotency-Key,
  and the last one is what the customer said,
- each photo is stored once, with the digest that it was announced with,
- nothing is queued.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.drill_conversations import Talking, conversations
from bench.drill_system import System, outages, running_system

COLUMNS = (
    "sent",
    "unknown",
    "failed",
    "queued",
    "unread",
    "stored",
    "waiting",
    "handed over",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--conversations", type=int, help="in all (500)")
    parser.add_argument("--seconds", type=float, help="that each outage lasts (60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--short", action="store_true", help="24 conversations, outages of 3 s"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=900,
        help="seconds after the last outage to finish (900)",
    )
    parser.add_argument(
        "--keep", type=Path, help="a folder for data and logs (a temporary one)"
    )
    options = parser.parse_args()
    # Whoever ends the drill ends its servers, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with ExitStack() as stack:
        directory = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        system = stack.enter_context(running_system(directory))
        return drill(
            system,
            count=options.conversations or (24 if options.short else 500),
            seconds=options.seconds or (3 if options.short else 60),
            seed=options.seed,
            limit=options.limit,
        )


def drill(
    system: System, *, count: int, seconds: float, seed: int, limit: float
) -> int:
    """One run; 0 when in the end nothing is queued, and nothing was lost or doubled."""
    from bench import drill_outcome as outcome

    troubles, rest = outages(system, seconds), seconds / 10
    talks = conversations(
        system, count, seconds=len(troubles) * (seconds + rest), seed=seed
    )
    photos = sum(talk.photos for talk in talks)
    print(
        f"seed {seed}: {count} conversations, {photos} photos, outages of {seconds:g} s"
    )
    _print_row("", "seconds", *COLUMNS)
    began = time.monotonic()
    talking = Talking(talks)
    for name, trouble in troubles:
        with trouble:
            time.sleep(seconds)
        _print_counts(name, seconds, outcome.counts())
        outcome.resume_accounts()
        time.sleep(rest)
    ended = time.monotonic()
    acknowledged = talking.join(limit)
    while (left := outcome.left()) and time.monotonic() < ended + limit:
        time.sleep(0.5)
    now = time.monotonic()
    _print_counts("in the end", now - ended, outcome.counts())
    print(
        f"{'NOT DONE' if left else 'all done'} {now - began:.0f} s after the beginning"
    )
    problems = left + outcome.problems(talks, system.provider, system.shop)
    problems += [
        f"{each.name} has died"
        for each in system.hub.processes
        if not each.is_running()
    ]
    if not acknowledged:
        problems.insert(0, "not every message was acknowledged")
    for problem in problems[:30]:
        print(f"  {problem}")
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def _print_counts(name: str, seconds: float, counts: Mapping[str, int]) -> None:
    _print_row(name, f"{seconds:.0f}", *(str(counts[column]) for column in COLUMNS))


def _print_row(name: str, *cells: str) -> None:
    print(f"{name:<17}", *(f"{cell:>11}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
