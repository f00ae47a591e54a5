"""A process dies between any two steps of a conversation: nothing is said twice, nothing is stuck,
no photo is lost.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from media_app.ingest import ingest_next
from media_app.models import Media
from messages_app import inbox, outbox, outbox_results, session_timers
from messages_app.models import Delivery, OutboxItem, PhotoSession, SessionRebuild
from simulator.customer import Customer
from simulator.deliveries import SignedRequest
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.faults.crash import an_hour_passes, dies_at
from tests.messages.mail import arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = OutboxItem.State
INBOX = (
    "inbox_after_count",
    "inbox_between_messages",
    "inbox_before_commit",
    "inbox_after_commit",
    "rebuild_after_take",
    "rebuild_before_commit",
)
OUTBOX = (
    "outbox_in_claim",
    "outbox_after_claim",
    "outbox_after_send",
    "outbox_after_mark",
)
PHOTOS = 3
NUMBER = "+14335580001"


@pytest.fixture
def said(provider: SimulatedProvider) -> Callable[[], list[str]]:
    """The first words of each reply to the customer."""
    provider.sends.clear()
    return lambda: [
        text.split("!")[0].split(" ")[0] for text in provider.replies_to(NUMBER)
    ]


def conversation() -> list[SignedRequest]:
    customer, at = Customer(number=NUMBER), time.time() - 60
    photos = [customer.photo(at + 1 + number) for number in range(PHOTOS)]
    return [
        customer.say("SELL", at),
        *photos,
        customer.say("DONE", at + 10),
        customer.say("A scratch", at + 20),
    ]


def time_passes() -> None:
    """Every lease and pause has had its time, and what was cut off is overdue."""
    an_hour_passes()
    OutboxItem.objects.update(sending_at=F("sending_at") - timedelta(hours=1))
    OutboxItem.objects.filter(state=State.QUEUED).update(
        not_before=F("not_before") - timedelta(hours=1)
    )
    SessionRebuild.objects.update(not_before=F("not_before") - timedelta(hours=1))
    outbox_results.finish_overdue()


def recover() -> None:
    """What sweepers and workers do, pass by pass, and time that passes: until nothing waits."""
    for _ in range(10):
        time_passes()
        inbox.drain()
        while ingest_next():
            pass
        session_timers.recheck_unsettled()
        outbox.send_due()
        waiting = OutboxItem.objects.filter(state__in=(State.QUEUED, State.SENDING))
        if not (waiting.exists() or Delivery.objects.due().exists()):
            return
    raise AssertionError(list(OutboxItem.objects.values("kind", "state", "last_error")))


def check(shop: Shop, said: list[str]) -> None:
    """All is as without deaths, save for replies whose fate is unknown."""
    session = PhotoSession.objects.get()
    assert (session.state, session.details) == (
        PhotoSession.State.SUBMITTED,
        "A scratch",
    )
    assert Media.objects.filter(state=Media.State.STORED).count() == PHOTOS
    unknown = OutboxItem.objects.filter(state=State.UNKNOWN).exclude(
        kind=OutboxItem.Kind.HAND_OVER
    )
    assert max(Counter(said).values(), default=1) == 1
    assert {"Welcome", "Got", "Great", "Thank"} - set(said) <= {
        _begins(item) for item in unknown
    }
    handed = shop.of(NUMBER)
    assert {each.key for each in handed} == {f"{session.id}:1"}
    assert all(each.is_genuine and each.summary == handed[0].summary for each in handed)
    assert len(handed[0].summary["photos"]) == PHOTOS


def _begins(item: OutboxItem) -> str:
    return str(item.said["text"]).split("!")[0].split(" ")[0]


def test_without_deaths_each_reply_is_sent_once(
    shop: Shop, said: Callable[[], list[str]]
) -> None:
    arrive(*conversation())
    recover()
    check(shop, said())
    assert sorted(said()) == ["Got", "Great", "Thank", "Welcome"]
    assert len(shop.of(NUMBER)) == 1


@pytest.mark.parametrize("point", INBOX)
def test_a_reader_dies(shop: Shop, said: Callable[[], list[str]], point: str) -> None:
    arrive(*conversation())
    dies_at(point, inbox.drain)
    recover()
    check(shop, said())
    assert sorted(said()) == ["Got", "Great", "Thank", "Welcome"]


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("point", OUTBOX)
def test_a_sender_dies_at_each_of_the_replies(
    shop: Shop, said: Callable[[], list[str]], point: str, times: int
) -> None:
    arrive(*conversation())
    inbox.drain()
    while ingest_next():
        pass
    for _ in range(times):
        dies_at(point, outbox.send_due)
        time_passes()
    recover()
    check(shop, said())


@pytest.mark.parametrize("point", ["outbox_after_claim", "outbox_after_send"])
def test_staff_send_a_reply_of_unknown_result_again(
    shop: Shop, said: Callable[[], list[str]], point: str
) -> None:
    arrive(*conversation())
    inbox.drain()
    dies_at(point, outbox.send_due)
    recover()
    (item,) = OutboxItem.objects.filter(state=State.UNKNOWN)
    assert "may have arrived" in item.last_error
    before = len(said())
    assert outbox_results.send_again(item)
    recover()
    assert len(said()) == before + 1
    item.refresh_from_db()
    assert item.state == State.SENT
