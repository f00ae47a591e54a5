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
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import django

from bench.chaos import revive
from bench.wrong_clock import set_clock
from simulator.customer import Customer
from simulator.deliveries import SignedRequest
from simulator.hub import Hub
from simulator.posting import send
from simulator.processes import Process
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.hubs import bucket, postgres

CLOCK_ERROR = -600
# Two of three customers write through Meta.
PROVIDERS = ("meta", "meta", "twilio")
# So many of the requests are posted twice, as vendors do.
DUPLICATES = 0.15
# How often a request is posted until it is acknowledged.
TRIES = 200
# Messages of one customer never have the same second.
SHORTEST_PAUSE = 1.1
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


@dataclass(frozen=True)
class System:
    """All that runs, and the servers that can be taken away."""

    hub: Hub
    provider: SimulatedProvider
    shop: Shop
    postgres: Process
    bucket: Process


@contextmanager
def running_system(directory: Path) -> Iterator[System]:
    """Everything started, in a folder of its own. From then on Django here has the hub's
    database.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        database, database_env = stack.enter_context(postgres(directory))
        objects, bucket_env = stack.enter_context(bucket(directory))
        provider = stack.enter_context(SimulatedProvider())
        shop = stack.enter_context(Shop())
        hub = Hub(
            directory / "hub",
            api_url=provider.api_url,
            cdn_host=provider.cdn_host,
            env={**database_env, **bucket_env, **shop.env, "LOG_LEVEL": "WARNING"},
            webs=2,
            workers=2,
            worker_options=("--ingest", "3"),
            sweep_every=5,
        )
        set_clock(hub.workers[1], CLOCK_ERROR)
        stack.enter_context(hub)
        os.environ.update(hub.env)
        os.environ["DJANGO_SETTINGS_MODULE"] = "mediahub.settings"
        django.setup()
        # Connections that die with PostgreSQL are no news here.
        logging.getLogger("psycopg").setLevel(logging.ERROR)
        yield System(hub, provider, shop, database, objects)


# --- outages --------------------------------------------------------------------


def outages(
    system: System, seconds: float
) -> list[tuple[str, AbstractContextManager[None]]]:
    """Each by its name; it lasts as long as its ``with`` block."""
    provider = system.provider
    retry_after = max(1, round(seconds / 3))
    return [
        ("provider: 401", _switched(provider, "unauthorised", True)),
        ("provider: 429", _switched(provider, "throttled_for", retry_after)),
        ("provider: 503", _switched(provider, "down", True)),
        ("provider: silence", _switched(provider, "silent", True)),
        ("Redis away", _away(system.hub.redis)),
        ("PostgreSQL away", _away(system.postgres)),
        ("bucket away", _away(system.bucket)),
    ]


@contextmanager
def _switched(
    provider: SimulatedProvider, switch: str, value: object
) -> Iterator[None]:
    before = getattr(provider, switch)
    setattr(provider, switch, value)
    yield
    setattr(provider, switch, before)


@contextmanager
def _away(process: Process) -> Iterator[None]:
    process.kill()
    yield
    revive(process)


# --- conversations --------------------------------------------------------------


@dataclass(frozen=True)
class Conversation:
    """One customer, and what they are going to say."""

    customer: Customer
    photos: int
    #: What they say after DONE.
    answers: tuple[str, ...]
    #: Seconds after the beginning of the drill.
    begins: float
    #: Seconds before each step but the first.
    pauses: tuple[float, ...]
    url: str
    seed: int

    @property
    def details(self) -> str:
        """What the business must get to know."""
        return "" if self.answers[-1] == "SKIP" else self.answers[-1]

    def hold(self) -> bool:
        """Say each thing when the one before was acknowledged; whether everything was."""
        random = Random(self.seed)
        steps = ("SELL", "", "DONE", *self.answers)
        for pause, words in zip((self.begins, *self.pauses), steps, strict=False):
            time.sleep(pause)
            now = time.time()
            requests = [self.customer.say(words, now)] if words else self._album(now)
            posted = requests + [
                each for each in requests if random.random() < DUPLICATES
            ]
            random.shuffle(posted)
            answers = send(
                posted, self.url, parallel=len(posted), redeliver=True, tries=TRIES
            )
            if not all(answer.accepted for answer in answers):
                return False
        return True

    def _album(self, at: float) -> list[SignedRequest]:
        return [self.customer.photo(at) for _ in range(self.photos)]


def conversations(
    system: System, count: int, *, seconds: float, seed: int
) -> list[Conversation]:
    """So many, the most of them early in so many seconds. The same seed makes the same ones."""
    random = Random(seed)
    longest_pause = max(seconds / 20, 2 * SHORTEST_PAUSE)
    made = []
    for number in range(count):
        customer = Customer(
            number=f"+1433557{number:04}",
            provider=random.choice(PROVIDERS),
            public_url=system.hub.url,
            api_url=system.provider.api_url,
        )
        details = f"Scratch number {number}"
        conversation = Conversation(
            customer,
            photos=random.randint(1, 4),
            answers=random.choice((("SKIP",), (details,), ("YES, ADD", details))),
            # More than a third of them in the first of seven outages: replies pile up there.
            begins=seconds * random.random() ** 2,
            pauses=tuple(
                random.uniform(SHORTEST_PAUSE, longest_pause) for _ in range(4)
            ),
            url=random.choice(system.hub.urls),
            seed=random.randrange(2**32),
        )
        made.append(conversation)
    return made


class Talking:
    """All conversations, each held by a thread of its own."""

    def __init__(self, talks: Sequence[Conversation]) -> None:
        self._acknowledged: list[bool] = []
        self._threads = [
            threading.Thread(target=self._hold, args=(talk,), daemon=True)
            for talk in talks
        ]
        for thread in self._threads:
            thread.start()

    def _hold(self, talk: Conversation) -> None:
        self._acknowledged.append(talk.hold())

    def join(self, seconds: float) -> bool:
        """Wait until they are over; whether every message was acknowledged in this time."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return len(self._acknowledged) == len(self._threads) and all(self._acknowledged)


# --- the drill ------------------------------------------------------------------


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
