"""The customers of a drill, and what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bench.drill_system import System
from simulator.customer import Customer
from simulator.deliveries import SignedRequest
from simulator.posting import send

# Two of three customers write through Meta.
PROVIDERS = ("meta", "meta", "twilio")
# So many of the requests are posted twice, as vendors do.
DUPLICATES = 0.15
# How often a request is posted until it is acknowledged.
TRIES = 200
# Messages of one customer never have the same second.
SHORTEST_PAUSE = 1.1


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
