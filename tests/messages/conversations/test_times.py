"""Photos on their way, assumed times, and sessions without a message for too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from pytest_django.fixtures import Settings

from messages_app import inbox, outbox, session_timers
from messages_app.models import Delivery
from simulator.customer import Customer
from simulator.shop import Shop
from tests.messages.conversations.chat import (
    HOUR,
    State,
    age,
    one,
    picture,
    receive,
    replies_of,
    stood,
    submitted,
    text,
)
from tests.messages.mail import ACCOUNTS, ADA, SENT, arrive, meta

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

# --- photos on their way at DONE ----------------------------------------------------------


@pytest.mark.parametrize("starts", ["photo", "keyword"])
def test_a_photo_on_its_way_at_done_counts_after_submission(
    settings: Settings, shop: Shop, starts: str
) -> None:
    settings.SESSION_START = starts
    receive(text(-1, "sell"))
    row = submitted(shop)
    receive(picture(100))
    assert stood() == [(State.SUBMITTED, 3)]
    assert replies_of(row, queued=True) == ["correction", "hand_over"]
    outbox.send_due()
    assert [len(each.summary["photos"]) for each in shop.received] == [2, 3]


# --- a provider that sends no times -------------------------------------------------------


def came(*contents: str) -> None:
    """What Ada says by Twilio, in this order, each 5 ms after the other and read alone; "" is a
    photo.
    """
    number, address = ADA.removeprefix("whatsapp:"), settings.PUBLIC_URL
    customer = Customer(
        number=number, provider="twilio", accounts=ACCOUNTS, public_url=address
    )
    began = datetime.now(UTC) - timedelta(seconds=30)
    for place, content in enumerate(contents):
        arrive(customer.say(content, SENT) if content else customer.photo(SENT))
        Delivery.objects.due().update(
            received_at=began + place * timedelta(milliseconds=5)
        )
        inbox.drain()


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (["", "", "sell"], (State.COLLECTING, 2)),
        (["", "sell", "done", ""], (State.AWAITING_DETAILS, 2)),
        (["sell", "done", "", ""], (State.AWAITING_DETAILS, 2)),
        (["sell", "", "done", "none", ""], (State.SUBMITTED, 2)),
        (["sell", "", "reset", ""], (State.CANCELLED, 2)),
    ],
)
def test_webhooks_that_swap_places_leave_no_photo_out(
    settings: Settings, contents: list[str], expected: tuple[str, int]
) -> None:
    settings.SESSION_START = "keyword"
    came(*contents)
    assert stood() == [expected]


# --- silence ------------------------------------------------------------------------------


def test_whoever_never_answers_has_their_photos_handed_over(shop: Shop) -> None:
    receive(picture(-2 * HOUR), text(-2 * HOUR + 5, "done"))
    age(one(), HOUR + 1)
    session_timers.expire_silent()
    assert (stood(), one().is_unanswered) == ([(State.SUBMITTED, 1)], True)
    assert replies_of(one()) == ["ack", "hand_over", "question"]
    outbox.send_due()
    ((summary),) = [each.summary for each in shop.received]
    assert (summary["state"], summary["is_unanswered"], summary["details"]) == (
        "submitted",
        True,
        "",
    )


def test_an_answer_that_was_still_under_way_is_handed_over_too(shop: Shop) -> None:
    receive(picture(-2 * HOUR), text(-2 * HOUR + 5, "done"))
    age(one(), HOUR + 1)
    session_timers.expire_silent()
    outbox.send_due()
    receive(text(-2 * HOUR + 9, "no, skip"))
    outbox.send_due()
    assert [each.summary["is_unanswered"] for each in shop.received] == [True, False]


def test_silence_ends_a_session_only_when_our_clock_says_so_too() -> None:
    receive(picture(-2 * HOUR))
    assert (session_timers.expire_silent(), stood()) == (0, [(State.COLLECTING, 1)])
    age(one(), HOUR + 1)
    assert (session_timers.expire_silent(), stood()) == (1, [(State.EXPIRED, 1)])


def test_silence_is_none_while_something_is_unread() -> None:
    receive(picture(-2 * HOUR))
    age(one(), HOUR + 1)
    arrive(meta(picture(-2 * HOUR + 9)))
    assert (session_timers.expire_silent(), stood()) == (0, [(State.COLLECTING, 1)])
    inbox.drain()
    assert (session_timers.expire_silent(), stood()) == (0, [(State.COLLECTING, 2)])


def test_a_late_photo_finds_the_session_that_silence_had_ended() -> None:
    receive(picture(-2 * HOUR))
    age(one(), HOUR + 1)
    session_timers.expire_silent()
    receive(picture(-2 * HOUR + 9))
    assert stood() == [(State.COLLECTING, 2)]
