"""Sending what is in the outbox, to the simulated provider and a business of our own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from messages_app import (
    inbox,
    outbox,
    outbox_results,
)
from messages_app.models import Contact, Delivery, Message, OutboxItem, PhotoSession
from messages_app.providers.events import StatusChanged
from simulator.customer import Customer
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.messages.mail import arrive

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Kind, State = OutboxItem.Kind, OutboxItem.State
NUMBER = "+14335590001"
ACK = "Got it! Keep sending. Text DONE when finished."


@pytest.fixture
def provider(provider: SimulatedProvider) -> Iterator[SimulatedProvider]:
    provider.sends.clear()
    yield provider
    provider.down = provider.unauthorised = False


@pytest.fixture
def talk(provider: SimulatedProvider) -> Callable[..., list[str]]:
    """Say these things a minute ago, one each second (a number is that many photos); all that was
    replied so far.
    """
    customer, clock = (
        Customer(number=NUMBER),
        iter(range(int(time.time()) - 60, int(time.time()) + 600)),
    )

    def say(*things: str | int) -> list[str]:
        for thing in things:
            words = (
                [customer.photo(next(clock)) for _ in range(thing)]
                if isinstance(thing, int)
                else []
            )
            arrive(*(words or [customer.say(str(thing), next(clock))]))
        inbox.drain()
        outbox.send_due()
        return provider.replies_to(NUMBER)

    return say


def item(kind: OutboxItem.Kind) -> OutboxItem:
    return OutboxItem.objects.get(kind=kind)


def status(of: OutboxItem, word: str, error: str = "") -> StatusChanged:
    return StatusChanged(
        account="1",
        provider_message_id="wamid.echo",
        status=word,
        occurred_at=datetime.now(UTC),
        reference=str(of.id),
        error=error,
    )


def test_reset_promises_no_deletion_to_somebody_on_hold(
    talk: Callable[..., list[str]],
) -> None:
    talk("sell", 1)
    Contact.objects.all().hold(True)
    assert "keep its photos" in talk("reset")[-1]
    assert item(Kind.RESET).said["text"] == talk()[-1]


def test_a_conversation_from_beginning_to_end(
    talk: Callable[..., list[str]], shop: Shop
) -> None:
    for words in (["SELL", 3], ["DONE"], ["YES, ADD"], ["A scratch on the door"]):
        said = talk(*words)
    assert said == [
        "Welcome! Send your photos, then text DONE.",
        ACK,
        "Great! Got 3 photos, 3 still on their way. Any flaws or special notes?",
        "Please describe them in one message.",
        "Thank you! Passed on: 3 photos, 3 still on their way.",
    ]
    (handed,) = shop.of(NUMBER)
    assert (handed.summary["details"], len(handed.summary["photos"])) == (
        "A scratch on the door",
        3,
    )


def test_a_reply_waits_while_something_older_is_unread(
    talk: Callable[..., list[str]],
) -> None:
    talk("SELL", 1)
    Delivery.objects.create(
        id="0" * 64,
        endpoint="meta",
        body=b"{}",
        received_at=Now() - timedelta(minutes=1),
    )
    Message.objects.update(received_at=Now())
    OutboxItem.objects.update(state=State.QUEUED)
    assert outbox.send_due() == 0
    Delivery.objects.filter(id="0" * 64).delete()
    assert outbox.send_due() == 2


def test_nobody_is_answered_a_day_later(
    talk: Callable[..., list[str]], provider: SimulatedProvider
) -> None:
    provider.unauthorised = True
    talk("SELL", 1)
    PhotoSession.objects.update(last_at=F("last_at") - timedelta(hours=25))
    provider.unauthorised = False
    OutboxItem.objects.update(not_before=Now())
    assert outbox.send_due() == 0
    assert {each.state for each in OutboxItem.objects.all()} == {State.FAILED}
    assert "24 hours" in item(Kind.ACK).last_error


def test_what_was_certainly_not_sent_is_tried_again(
    talk: Callable[..., list[str]], provider: SimulatedProvider
) -> None:
    provider.unauthorised = True
    assert talk("SELL") == []
    waiting = item(Kind.START)
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 1)
    assert waiting.last_error and waiting.not_before > datetime.now(UTC)
    provider.unauthorised = False
    OutboxItem.objects.update(not_before=Now())
    assert outbox.send_due() == 1


def test_what_may_have_been_sent_is_not_sent_again_by_itself(
    talk: Callable[..., list[str]], provider: SimulatedProvider
) -> None:
    provider.down = True
    assert talk("SELL") == []
    assert item(Kind.START).state == State.UNKNOWN
    provider.down = False
    OutboxItem.objects.update(not_before=Now())
    assert outbox.send_due() == 0
    assert outbox_results.send_again(item(Kind.START)) and outbox.send_due() == 1


@pytest.mark.parametrize("before", [State.SENDING, State.UNKNOWN])
def test_the_provider_s_status_decides_about_a_reply(
    talk: Callable[..., list[str]], before: str
) -> None:
    talk("SELL")
    OutboxItem.objects.update(state=before, provider_message_id="", sent_at=None)
    outbox_results.apply_statuses([status(item(Kind.START), "sent")])
    settled = item(Kind.START)
    assert (settled.state, settled.provider_message_id) == (State.SENT, "wamid.echo")
    assert settled.sent_at is not None


def test_a_reply_that_could_not_be_delivered_is_not_sent(
    talk: Callable[..., list[str]],
) -> None:
    talk("SELL")
    outbox_results.apply_statuses(
        [status(item(Kind.START), "failed", "Message undeliverable")]
    )
    assert (
        item(Kind.START).state,
        "Message undeliverable" in item(Kind.START).last_error,
    ) == (State.FAILED, True)


@pytest.mark.parametrize(
    "reference", ["", "not ours", "3fa9c1d2-e4b7-5000-8000-000000000000"]
)
def test_a_status_of_somebody_elses_message_is_nothing_to_us(
    talk: Callable[..., list[str]], reference: str
) -> None:
    talk("SELL")
    outbox_results.apply_statuses(
        [replace(status(item(Kind.START), "failed"), reference=reference)]
    )
    assert item(Kind.START).state == State.SENT


def test_what_was_cut_off_is_unknown_when_it_is_overdue(
    talk: Callable[..., list[str]],
) -> None:
    talk("SELL")
    OutboxItem.objects.update(
        state=State.SENDING, sending_at=Now() - timedelta(minutes=1)
    )
    assert outbox_results.finish_overdue() == 0
    OutboxItem.objects.update(sending_at=Now() - timedelta(minutes=10))
    assert outbox_results.finish_overdue() == 1
    assert item(Kind.START).state == State.UNKNOWN


def test_a_hand_over_is_the_same_however_often_it_goes(
    talk: Callable[..., list[str]], shop: Shop
) -> None:
    shop.down = True
    talk("SELL", 1, "DONE", "skip")
    first = item(Kind.HAND_OVER)
    assert (first.state, "503" in first.last_error) == (State.QUEUED, True)
    shop.down = False
    OutboxItem.objects.update(not_before=Now())
    outbox.send_due()
    assert outbox_results.resend_summary(PhotoSession.objects.get())
    outbox.send_due()
    one, two = shop.of(NUMBER)
    assert one == two and one.is_genuine
    assert one.key == f"{PhotoSession.objects.get().id}:1"


def test_without_an_address_nothing_is_handed_over(
    talk: Callable[..., list[str]],
) -> None:
    talk("SELL", 1, "DONE", "skip")
    assert not OutboxItem.objects.filter(kind=Kind.HAND_OVER).exists()
    assert PhotoSession.objects.get().state == PhotoSession.State.SUBMITTED
