"""Albums: thirty photos and DONE, all at once and in any order, from several customers."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from simulator.customer import Customer
from simulator.deliveries import SignedRequest
from simulator.hub import Hub
from simulator.posting import send
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.hubs import running_hub
from tests.waiting import until

PHOTOS = 30
ACK = "Got it!"
# A limit for machines that are busy with other things: an album takes a few seconds.
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Album:
    customer: Customer
    seed: int

    def requests(self, at: float) -> list[SignedRequest]:
        """All of them, in the order that this seed makes."""
        photos = [self.customer.photo(at + number // 12) for number in range(PHOTOS)]
        requests = [
            self.customer.say("SELL", at - 1),
            *photos,
            self.customer.say("DONE", at + 3),
        ]
        Random(self.seed).shuffle(requests)
        return requests


def albums(directory: Path, *, database: str, seeds: range, at_once: int) -> list[str]:
    """Post the albums of so many customers at a time, each all at once; what went wrong."""
    provider = SimulatedProvider()
    problems: list[str] = []
    with (
        Shop() as shop,
        running_hub(
            directory,
            database=database,
            provider=provider,
            web_processes=4,
            sweep_every=5,
            env=shop.env,
        ) as hub,
    ):
        for start in range(seeds.start, seeds.stop, at_once):
            some = [
                _album(seed) for seed in range(start, min(start + at_once, seeds.stop))
            ]
            problems += _round(hub, provider, shop, some)
    return problems


def _album(seed: int) -> Album:
    return Album(Customer(number=f"+1433556{seed:04}"), seed)


def _round(
    hub: Hub, provider: SimulatedProvider, shop: Shop, albums: list[Album]
) -> list[str]:
    at = time.time() - 5
    requests = [album.requests(at) for album in albums]
    # Side by side: each customer's album is posted all at once.
    mixed = [
        request for together in zip(*requests, strict=True) for request in together
    ]
    # As vendors do: what a busy SQLite answers 503 comes again.
    answers = send(mixed, hub.url, parallel=60, redeliver=True)
    assert {answer.status for answer in answers} == {200}
    numbers = [album.customer.number for album in albums]
    until(
        lambda: all(
            f"{PHOTOS} photos" in _last(provider, number) for number in numbers
        ),
        SECONDS,
    )
    skips = [album.customer.say("no, skip", time.time()) for album in albums]
    assert {answer.status for answer in send(skips, hub.url, redeliver=True)} == {200}
    until(lambda: all(_revision(shop, number) == PHOTOS for number in numbers), SECONDS)
    until(
        lambda: all(
            _last(provider, number).startswith("Thank you!") for number in numbers
        ),
        SECONDS,
    )
    return [
        problem for number in numbers for problem in _problems(provider, shop, number)
    ]


def _problems(provider: SimulatedProvider, shop: Shop, number: str) -> list[str]:
    found: list[str] = []
    said = provider.replies_to(number)
    acknowledged = sum(text.startswith(ACK) for text in said)
    if acknowledged != 1:
        found.append(f"{number}: acknowledged {acknowledged} times")
    if f"{PHOTOS} photos" not in said[-1]:
        found.append(f"{number}: the last reply is {said[-1]!r}")
    handed = shop.of(number)
    keys = Counter(each.key for each in handed)
    if max(keys.values()) > 1 or not all(each.is_genuine for each in handed):
        found.append(f"{number}: handed over {dict(keys)}")
    if len({each.summary["id"] for each in handed}) != 1:
        found.append(f"{number}: several sessions were handed over")
    return found


def _last(provider: SimulatedProvider, number: str) -> str:
    return (provider.replies_to(number) or [""])[-1]


def _revision(shop: Shop, number: str) -> int:
    handed = shop.of(number)
    return len(handed[-1].summary["photos"]) if handed else 0
