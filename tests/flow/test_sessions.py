"""Whole conversations: a customer's webhooks in, the hub's replies and hand-overs out, all by real
processes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator.customer import Customer
from simulator.deliveries import SignedRequest
from simulator.hub import Hub
from simulator.posting import send
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.flow.albums import albums
from tests.hubs import running_hub
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("sessions")

ACK = "Got it! Keep sending. Text DONE when finished."
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Place:
    hub: Hub
    provider: SimulatedProvider
    shop: Shop

    def customer(self, provider: str) -> Talk:
        customer = Customer(
            number=f"+1433557{next(_numbers):04}",
            provider=provider,
            public_url=self.hub.url,
            api_url=self.provider.api_url,
        )
        return Talk(self, customer)


@dataclass(frozen=True, slots=True)
class Talk:
    """One customer's conversation with the hub."""

    place: Place
    customer: Customer

    def post(self, *requests: SignedRequest) -> None:
        """One after the other."""
        assert {
            answer.status for answer in send(requests, self.place.hub.url, parallel=1)
        } == {200}

    def said(self) -> list[str]:
        return self.place.provider.replies_to(self.customer.number)

    def hears(self, text: str) -> None:
        """Wait until the last reply begins so."""
        with suppress(AssertionError):
            until(lambda: (self.said() or [""])[-1].startswith(text))
        assert (self.said() or [""])[-1].startswith(text), self.said()

    def session(self) -> dict[str, Any]:
        """The session that was handed over last."""
        return until(lambda: self.place.shop.of(self.customer.number))[-1].summary


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    provider = SimulatedProvider()
    with (
        Shop() as shop,
        running_hub(
            tmp_path_factory.mktemp("hub"),
            provider=provider,
            sweep_every=2,
            env=shop.env,
        ) as hub,
    ):
        yield Place(hub, provider, shop)


Photos = Callable[[Customer, float], list[SignedRequest]]


def three_in_two_seconds(customer: Customer, at: float) -> list[SignedRequest]:
    return [customer.photo(at + second) for second in (0, 1, 1)]


def the_same_twice(customer: Customer, at: float) -> list[SignedRequest]:
    return [
        customer.photo(at, seed=7, made_at=at),
        customer.photo(at + 1, seed=7, made_at=at),
    ]


@pytest.mark.parametrize(
    ("provider", "photos", "counted"),
    [
        ("meta", three_in_two_seconds, "3 photos"),
        ("meta", the_same_twice, "1 photo"),
        ("twilio", three_in_two_seconds, "3 photos"),
    ],
)
def test_photos_and_done_are_counted_acknowledged_and_handed_over(
    place: Place, provider: str, photos: Photos, counted: str
) -> None:
    talk, at = place.customer(provider), time.time() - 20
    talk.post(talk.customer.say("Sell", at))
    talk.hears("Welcome!")
    talk.post(*photos(talk.customer, at + 1))
    talk.hears(ACK)
    talk.post(talk.customer.say(" done ", at + 10))
    talk.hears(f"Great! Got {counted}")
    talk.post(talk.customer.say("A scratch on the left door", at + 15))
    talk.hears("Thank you!")
    session = talk.session()
    number = int(counted.partition(" ")[0])
    assert (session["revision"], session["details"]) == (
        1,
        "A scratch on the left door",
    )
    assert len(session["photos"]) == session["counts"]["photos"] == number
    assert [text.startswith("Got it!") for text in talk.said()].count(True) == 1
    for photo in session["photos"]:
        assert (
            requests.get(photo["url"], timeout=60).headers["Content-Type"]
            == "image/jpeg"
        )
    assert session["text"].startswith(
        "Photos Provided: " + " | ".join(photo["url"] for photo in session["photos"])
    )


def test_an_hour_later_it_is_over_and_the_photos_are_asked_for_again(
    place: Place,
) -> None:
    talk, at = place.customer("meta"), time.time() - 3700
    customer = talk.customer
    talk.post(customer.say("SELL", at), customer.photo(at + 1), customer.photo(at + 2))
    talk.post(customer.say("DONE", at + 2 + 61 * 60))
    talk.hears("We have no photos of yours yet.")
    look = f"""
import json
from media_app.models import Media
from messages_app.models import PhotoSession
sessions = PhotoSession.objects.filter(owner="whatsapp:{customer.number}").order_by("started_at")
photos = Media.objects.filter(owner="whatsapp:{customer.number}")
counted = [[row.state, len(row.media_ids)] for row in sessions]
print(json.dumps([counted, [photo.state for photo in photos]]))
"""
    states = [[["expired", 2], ["collecting", 0]], ["stored", "stored"]]
    until(
        lambda: (
            json.loads(place.hub.manage("shell", "--no-imports", "-c", look)) == states
        )
    )


def test_a_photo_that_comes_after_the_hand_over_is_revision_two_of_it(
    place: Place,
) -> None:
    talk, at = place.customer("meta"), time.time() - 60
    customer = talk.customer
    late = customer.photo(at + 3)
    talk.post(
        customer.say("SELL", at),
        customer.photo(at + 1),
        customer.photo(at + 2),
        customer.say("DONE", at + 5),
    )
    talk.hears("Great! Got 2 photos")
    talk.post(customer.say("NO, SKIP", at + 10))
    talk.hears("Thank you! Passed on: 2 photos")
    talk.session()
    talk.post(late)
    talk.hears("Correction: got 3 photos")
    first, second = until(
        lambda: (handed := place.shop.of(customer.number))[1:] and handed
    )
    assert (first.summary["revision"], second.summary["revision"]) == (1, 2)
    assert first.summary["id"] == second.summary["id"]
    assert first.key != second.key and second.is_genuine
    assert len(second.summary["photos"]) == 3


def test_thirty_photos_and_done_at_once_in_any_order(tmp_path: Path) -> None:
    assert albums(tmp_path, database="postgres", seeds=range(3), at_once=3) == []
