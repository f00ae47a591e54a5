"""One open session for a contact and a number of the business."""

from __future__ import annotations

import json

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from messages_app import inbox, outbox, session_timers
from messages_app.contacts import own_id
from messages_app.models import Contact, Message, OutboxItem, PhotoSession
from simulator.shop import Shop
from tests.messages.conversations.chat import (
    DAY,
    HIDDEN,
    HOUR,
    Kind,
    State,
    age,
    one,
    picture,
    receive,
    replies_of,
    sessions,
    stood,
    text,
)
from tests.messages.mail import ADA, Json, arrive, card, meta, meta_json

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

# --- one open session ---------------------------------------------------------------------


def test_the_database_refuses_a_second_open_session() -> None:
    receive(picture(0))
    row = one()
    row.id, row.anchor_id = own_id("another"), own_id("its anchor")
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)
    row.state = State.EXPIRED
    row.save(force_insert=True)


@pytest.mark.parametrize("days", [1, 3])
def test_what_is_read_days_later_ends_the_session_before(days: int) -> None:
    receive(picture(-days * DAY))
    receive(picture(0))
    assert stood() == [(State.EXPIRED, 1), (State.COLLECTING, 1)]


def test_a_ttl_of_days_keeps_a_session_open_for_days(settings: Settings) -> None:
    settings.SESSION_TTL_SECONDS = 7 * DAY
    receive(picture(-3 * DAY))
    receive(picture(0))
    assert stood() == [(State.COLLECTING, 2)]


@pytest.mark.parametrize("starts", ["photo", "keyword"])
def test_a_session_goes_on_after_a_late_message_has_joined_two(
    settings: Settings, starts: str
) -> None:
    settings.SESSION_START = starts
    receive(text(-8000, "sell"), picture(-7999), text(-3000, "sell"))
    assert len(sessions()) == 2
    receive(text(-5000, "wait"))
    receive(picture(0))
    assert stood() == [(State.COLLECTING, 2)]
    assert PhotoSession.objects.filter(state__in=PhotoSession.OPEN).count() == 1


def test_joined_sessions_are_known_by_what_was_handed_over(shop: Shop) -> None:
    receive(picture(-8000), picture(-3000), text(-2999, "done"), text(-2998, "none"))
    outbox.send_due()
    _, submitted = sessions()
    receive(text(-5000, "wait"))
    assert one().id == submitted.id
    outbox.send_due()
    assert [
        (each.summary["id"], each.summary["revision"]) for each in shop.received
    ] == [
        (str(submitted.id), 1),
        (str(submitted.id), 2),
    ]


def test_a_late_cancel_parts_a_session_and_a_later_message_goes_on_with_the_second() -> (
    None
):
    receive(picture(0), picture(9))
    receive(text(5, "cancel"))
    receive(picture(10))
    assert stood() == [(State.CANCELLED, 1), (State.COLLECTING, 2)]


def test_an_over_session_stays_as_it_is_when_the_settings_change(
    settings: Settings,
) -> None:
    receive(picture(0), text(1, "done"), text(2, "none"))
    settings.SESSION_START = "keyword"
    receive(text(3, "thanks"))
    assert stood() == [(State.SUBMITTED, 1)]


@pytest.mark.parametrize("starts", ["photo", "keyword"])
def test_whoever_was_too_late_and_was_asked_again_goes_on(
    settings: Settings, starts: str
) -> None:
    settings.SESSION_START = starts
    receive(text(-HOUR - 9, "sell"), picture(-HOUR - 8))
    receive(text(-5, "done"))
    receive(picture(-4))
    receive(text(-3, "done"))
    assert stood() == [(State.EXPIRED, 1), (State.AWAITING_DETAILS, 1)]
    assert replies_of(sessions()[1]) == ["ack", "no_photos", "question"]


def test_too_late_done_finds_the_session_that_absorbed_another() -> None:
    receive(picture(-9000), picture(-4000))
    age(sessions()[1], HOUR + 1)
    session_timers.expire_silent()
    receive(text(-6500, "wait"))
    age(one(), HOUR + 1)
    session_timers.expire_silent()
    receive(text(-5, "done"))
    assert stood() == [(State.EXPIRED, 2), (State.COLLECTING, 0)]


# --- the number of the business -----------------------------------------------------------


def written(number: str, message: Json) -> None:
    """Ada's message to the business, whose number is written in this way."""
    delivery = json.loads(meta(message).body)
    delivery["entry"][0]["changes"][0]["value"]["metadata"]["display_phone_number"] = (
        number
    )
    arrive(meta_json(delivery))
    inbox.drain()


def test_a_number_written_in_two_ways_is_one_conversation() -> None:
    written("+43 1 2345678", text(0, "sell"))
    written("4312345678", picture(1))
    assert stood() == [(State.COLLECTING, 1)]
    written("+43 1 2345678", text(2, "done"))
    written("4312345678", text(3, "none"))
    assert stood() == [(State.SUBMITTED, 1)]
    assert one().business == "4312345678"


def test_sessions_that_were_split_become_one() -> None:
    written("+43 1 2345678", picture(0))
    written("+43 1 2345678", picture(1))
    other, row = Message.objects.get(occurred_at__gt=one().started_at), one()
    Message.objects.filter(id=other.id).update(business="4312345678")
    row.id, row.anchor_id, row.business = own_id("another"), other.id, "4312345678"
    row.save(force_insert=True)
    written("4312345678", picture(2))
    assert stood() == [(State.COLLECTING, 3)]
    assert PhotoSession.objects.filter(state__in=PhotoSession.OPEN).count() == 1


# --- contacts that are one person ---------------------------------------------------------


@pytest.mark.parametrize("late", [picture(9), {**picture(9), "from_user_id": HIDDEN}])
def test_two_open_sessions_of_one_person_become_one(late: Json) -> None:
    hidden = {
        **picture(2, of="whatsapp:+1", name="hidden"),
        "from": "",
        "from_user_id": HIDDEN,
    }
    arrive(
        meta(picture(0), contacts=[card("Ada", ADA)]),
        meta(hidden, contacts=[card("Ada", hidden=HIDDEN)]),
    )
    inbox.drain()
    assert PhotoSession.objects.filter(state=State.COLLECTING).count() == 2
    arrive(meta(late, contacts=[card("Ada", ADA, HIDDEN)]))
    inbox.drain()
    assert Contact.objects.count() == 1
    assert stood() == [(State.COLLECTING, 3)]
    assert PhotoSession.objects.filter(state__in=PhotoSession.OPEN).count() == 1
    assert OutboxItem.objects.filter(kind=Kind.ACK).count() == 1
