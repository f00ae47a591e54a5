"""What conversations leave behind, from real deliveries in every order: sessions, replies,
hand-overs.
"""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from media_app.clock import database_now
from media_app.models import Media
from messages_app import (
    conversations,
    inbox,
    outbox,
    rebuild_marks,
    rebuilds,
    session_replies,
    session_rows,
    session_timers,
)
from messages_app.contacts import own_id
from messages_app.models import (
    Attachment,
    Contact,
    Delivery,
    Message,
    OutboxItem,
    PhotoSession,
    SessionRebuild,
)
from messages_app.summaries import summarize
from messages_app.timing import LATE_PHOTO_GRACE
from simulator.customer import Customer
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.messages.mail import (
    ACCOUNTS,
    ADA,
    BOB,
    SENT,
    Json,
    arrive,
    card,
    image,
    meta,
    meta_json,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Kind = OutboxItem.Kind
State = PhotoSession.State
Verb = PhotoSession.Verb
HIDDEN = "US.4815162342"
HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture(autouse=True)
def photos_begin(settings: Settings) -> None:
    settings.SESSION_START = "photo"


@pytest.fixture
def shop(settings: Settings, provider: SimulatedProvider) -> Iterator[Shop]:
    """A business that takes sessions in, and providers that take replies."""
    with Shop() as shop:
        settings.META_APP_SECRET = [ACCOUNTS.meta_app_secret]
        settings.SESSION_WEBHOOK_URL, settings.SESSION_WEBHOOK_SECRET = (
            shop.url,
            [shop.secret],
        )
        yield shop


def picture(
    second: int, *, of: str = ADA, name: str = "", caption: str = "", bytes_of: str = ""
) -> Json:
    """A photo that came ``second`` seconds after the first message; of a content of its own, unless
    it is said.
    """
    id = f"wamid.{of}.{name or second}"
    digest = sha256((bytes_of or id).encode()).digest()
    file = {
        "id": f"media-{id}",
        "mime_type": "image/jpeg",
        "sha256": b64encode(digest).decode(),
    }
    return image(
        id,
        sender=of,
        at=SENT + second,
        image={**file, **({"caption": caption} if caption else {})},
    )


def text(second: int, body: str, *, of: str = ADA) -> Json:
    id = f"wamid.{of}.{second}.{body}"
    message = {
        "id": id,
        "timestamp": str(SENT + second),
        "type": "text",
        "text": {"body": body},
    }
    return {"from": of.removeprefix("whatsapp:+"), **message}


def receive(*messages: Json) -> None:
    """Each in a delivery of its own, all read in one go."""
    arrive(*(meta(message) for message in messages))
    inbox.drain()


def sessions(of: str = ADA) -> list[PhotoSession]:
    """Those that are something, the oldest first."""
    rows = PhotoSession.objects.filter(contact__owners__owner=of).order_by(
        "started_at", "id"
    )
    return [row for row in rows if row.message_ids]


def one(of: str = ADA) -> PhotoSession:
    (row,) = sessions(of)
    return row


def stood(of: str = ADA) -> list[tuple[str, int]]:
    return [(row.state, len(row.media_ids)) for row in sessions(of)]


def replies_of(row: PhotoSession, *, queued: bool = False) -> list[str]:
    items = (
        row.outbox.filter(state=OutboxItem.State.QUEUED) if queued else row.outbox.all()
    )
    return sorted(item.kind for item in items)


def second_of(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp() - SENT


def age(row: PhotoSession, seconds: int) -> None:
    """As if the last of it had reached us so long ago."""
    long_ago = datetime.now(UTC) - timedelta(seconds=seconds)
    PhotoSession.objects.filter(id=row.id).update(last_received_at=long_ago)
    Contact.objects.get(id=row.contact_id).messages.update(received_at=long_ago)


# --- any order ----------------------------------------------------------------------------

STORY: list[tuple[int, str]] = [
    (0, "sell"),
    (1, ""),
    (2, ""),
    (3, "hello"),
    (5, "done"),
    (9, "A scratch."),
    (20, ""),
    (21, "cancel"),
    (30, ""),
    (30 + HOUR, ""),
    (31 + 2 * HOUR, "done"),
]


def told(of: str) -> list[Json]:
    return [
        text(second, body, of=of) if body else picture(second, of=of)
        for second, body in STORY
    ]


def known(of: str) -> list[tuple[object, ...]]:
    """All that sessions say, without ids."""
    return [
        (
            row.state,
            row.details,
            [len(row.message_ids), len(row.media_ids)],
            [
                second_of(moment)
                for moment in (row.started_at, row.last_at, row.done_at, row.ended_at)
            ],
            replies_of(row, queued=True),
        )
        for row in sessions(of)
    ]


@pytest.mark.parametrize("starts", ["photo", "keyword"])
def test_any_order_in_any_batches_makes_the_same_sessions(
    settings: Settings, starts: str
) -> None:
    settings.SESSION_START = starts
    receive(*told(ADA))
    expected = known(ADA)
    assert [each[0] for each in expected][:1] == [State.SUBMITTED]
    for seed in range(12):
        chance, of = random.Random(seed), f"whatsapp:+1433000{seed:04}"
        left = chance.sample(told(of), len(STORY))
        while left:
            size = chance.choice([1, 2, 5, 20])
            receive(*left[:size])
            left = left[size:]
        assert known(of) == expected, seed


def test_the_story_has_every_end() -> None:
    receive(*told(ADA))
    assert [row.state for row in sessions()] == [
        State.SUBMITTED,
        State.CANCELLED,
        State.EXPIRED,
        State.COLLECTING,
    ]


def test_a_delivery_that_comes_twice_changes_nothing() -> None:
    receive(*told(ADA))
    before = known(ADA), OutboxItem.objects.count()
    # Another body with the same messages.
    arrive(meta(*told(ADA), contacts=[card("Ada", ADA)]))
    inbox.drain()
    assert (known(ADA), OutboxItem.objects.count()) == before


def test_a_reply_is_queued_once_for_each_cause() -> None:
    for message in [
        text(0, "sell"),
        text(1, "done"),
        text(2, "done"),
        picture(3),
        picture(4),
        text(5, "done"),
    ]:
        receive(message)
    assert replies_of(one()) == sorted(
        ["start", "no_photos", "no_photos", "ack", "question"]
    )


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


# --- what has proved wrong ----------------------------------------------------------------


def submitted(shop: Shop) -> PhotoSession:
    """Two photos, passed on and confirmed to the contact."""
    receive(picture(0), picture(2), text(5, "done"), text(9, "none"))
    outbox.send_due()
    assert len(shop.received) == 1
    return one()


def test_a_late_photo_causes_revision_2_and_a_correction(shop: Shop) -> None:
    row = submitted(shop)
    receive(picture(1))
    assert replies_of(row, queued=True) == ["correction", "hand_over"]
    outbox.send_due()
    assert [
        (each.key, each.is_genuine, each.summary["counts"]["photos"])
        for each in shop.received
    ] == [
        (f"{row.id}:1", True, 2),
        (f"{row.id}:2", True, 3),
    ]


def test_a_reply_not_sent_yet_needs_no_correction(shop: Shop) -> None:
    receive(picture(0), text(5, "done"), text(9, "none"))
    receive(picture(1))
    assert replies_of(one()) == ["ack", "hand_over", "question", "submitted"]


def test_no_correction_where_the_next_reply_will_be_right(shop: Shop) -> None:
    receive(picture(0), text(5, "done"))
    outbox.send_due()
    receive(text(9, "none"))
    receive(picture(1))
    assert replies_of(one(), queued=True) == ["hand_over", "submitted"]


def test_a_correction_waits_for_the_pause_after_the_last_reply(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_replies, "CORRECTION_DELAY", timedelta(hours=1))
    row = submitted(shop)
    last = row.outbox.get(kind=Kind.SUBMITTED)
    for late in (1, 3, 4):
        receive(picture(late))
        outbox.send_due()
    correction = row.outbox.get(kind=Kind.CORRECTION)
    assert correction.state == OutboxItem.State.QUEUED
    assert last.sending_at is not None
    assert correction.not_before == last.sending_at + timedelta(hours=1)


def test_one_correction_follows_another_only_where_it_was_wrong_as_well(
    shop: Shop,
) -> None:
    row = submitted(shop)
    receive(picture(1))
    row.outbox.filter(kind=Kind.CORRECTION).update(
        not_before=datetime.now(UTC) - timedelta(seconds=9)
    )
    outbox.send_due()
    assert replies_of(row, queued=True) == []
    receive(picture(3))
    assert replies_of(row, queued=True) == ["correction", "hand_over"]
    said = [
        item.said.get("photos")
        for item in row.outbox.filter(kind=Kind.CORRECTION).order_by("place")
    ]
    assert said == [3, None]


def test_a_photo_that_is_refused_later_is_corrected(shop: Shop) -> None:
    row = submitted(shop)
    assert session_timers.recheck_unsettled() == 1
    assert replies_of(row, queued=True) == []
    Media.objects.filter(id=row.media_ids[0]).update(
        state=Media.State.REJECTED, failure=Media.Failure.TOO_LARGE
    )
    Media.objects.filter(id=row.media_ids[1]).update(state=Media.State.STORED)
    session_timers.recheck_unsettled()
    assert replies_of(row, queued=True) == ["correction", "hand_over"]
    assert session_timers.recheck_unsettled() == 0


def test_a_photo_that_the_provider_lost_is_not_counted_and_its_reason_is_told(
    shop: Shop,
) -> None:
    errors = [{"code": 131052, "title": "Media download error"}]
    receive(
        picture(0),
        {**picture(1), "image": {"caption": "The front"}, "errors": errors},
        text(5, "done"),
    )
    data = summarize(one()).as_data(1)
    assert (data["counts"]["photos"], data["counts"]["refused"]) == (1, 1)
    (refused,) = data["refused"]
    assert "131052: Media download error" in refused["reason"]


def test_no_conversation_waits_for_a_lost_document() -> None:
    errors = [{"code": 131052, "title": "Media download error"}]
    receive(
        {
            **picture(1),
            "type": "document",
            "image": None,
            "document": {},
            "errors": errors,
        }
    )
    assert not SessionRebuild.objects.exists()


def revoke(of: Json, *, second: int = 6, sender: str = ADA) -> Json:
    body = {"original_message_id": of["id"]}
    message = {
        "id": f"wamid.revoke.{second}",
        "timestamp": str(SENT + second),
        "type": "revoke",
        "revoke": body,
    }
    return {"from": sender.removeprefix("whatsapp:+"), **message}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1]])
def test_a_revoked_photo_is_stored_and_does_not_count(order: list[int]) -> None:
    said = [picture(0), picture(1), text(5, "done"), revoke(picture(1))]
    for number in order:
        receive(said[number])
    row = one()
    assert (row.state, len(row.message_ids), summarize(row).counts.photos) == (
        State.AWAITING_DETAILS,
        3,
        1,
    )
    assert Media.objects.filter(state="pending").count() == 2


def test_a_photo_revoked_after_the_hand_over_is_corrected(shop: Shop) -> None:
    row = submitted(shop)
    receive(revoke(picture(0), second=30))
    assert replies_of(row, queued=True) == ["correction", "hand_over"]


def test_nobody_revokes_a_photo_of_somebody_else() -> None:
    receive(picture(0), revoke(picture(0), sender=BOB))
    assert len(one().media_ids) == 1


def test_done_after_all_photos_were_revoked_finds_none() -> None:
    receive(text(0, "sell"), picture(1), revoke(picture(1), second=2), text(5, "done"))
    assert one().state == State.COLLECTING
    assert "no_photos" in replies_of(one())


def test_duplicates_by_digest_are_no_news_to_the_contact(shop: Shop) -> None:
    receive(
        picture(0, bytes_of="one"),
        picture(1, bytes_of="one"),
        picture(2),
        text(5, "done"),
    )
    outbox.send_due()
    row = one()
    assert (
        len(row.media_ids),
        summarize(row).counts.photos,
        summarize(row).counts.duplicates,
    ) == (3, 2, 1)
    receive(picture(3, bytes_of="one"))
    assert replies_of(row, queued=True) == []
    assert summarize(one()).counts.duplicates == 2


def test_a_reply_that_became_pointless_is_not_sent() -> None:
    receive(text(0, "sell"), text(5, "done"))
    assert replies_of(one()) == ["no_photos", "start"]
    receive(picture(4))
    assert replies_of(one()) == ["ack", "question", "start"]


def test_nothing_is_passed_on_of_what_an_older_word_has_cancelled(shop: Shop) -> None:
    receive(picture(0), text(5, "done"), text(9, "none"))
    assert "hand_over" in replies_of(one())
    receive(text(4, "cancel"))
    assert (stood(), replies_of(one())) == (
        [(State.CANCELLED, 1)],
        ["ack", "cancelled"],
    )


def test_the_business_hears_that_what_it_has_was_cancelled(shop: Shop) -> None:
    receive(picture(0), text(5, "done"), text(9, "none"))
    outbox.send_due()
    receive(text(4, "cancel"))
    outbox.send_due()
    told = [
        (each.summary["id"], each.summary["revision"], each.summary["state"])
        for each in shop.received
    ]
    assert told == [(str(one().id), 1, "submitted"), (str(one().id), 2, "cancelled")]


def test_no_correction_is_sent_after_an_older_cancel(shop: Shop) -> None:
    receive(picture(0), text(5, "done"))
    outbox.send_due()
    receive(picture(1))
    assert replies_of(one(), queued=True) == ["correction"]
    receive(text(2, "cancel"))
    assert replies_of(one(), queued=True) == ["cancelled"]


def test_a_hand_over_that_was_tried_is_tried_until_it_is_known(shop: Shop) -> None:
    receive(picture(0), text(5, "done"), text(9, "none"))
    shop.down = True
    outbox.send_due()
    receive(text(4, "cancel"))
    assert replies_of(one(), queued=True) == ["cancelled", "hand_over", "hand_over"], (
        "and then that it was cancelled"
    )


def test_an_open_session_that_is_none_by_the_new_words_makes_room(
    settings: Settings,
) -> None:
    settings.SESSION_START = "photo"
    receive(picture(0))
    settings.SESSION_START = "keyword"
    receive(text(1, "sell"))
    assert stood() == [(State.COLLECTING, 0)]


# --- which messages rebuild sessions ------------------------------------------------------


def noted(*messages: Json) -> int:
    """How many conversations these messages mark to be rebuilt."""
    receive(*messages)
    ids = Message.objects.filter(
        provider_message_id__in=[message["id"] for message in messages]
    )
    before = SessionRebuild.objects.count()
    rebuild_marks.mark_for_rebuild(ids.values_list("id", flat=True))
    return SessionRebuild.objects.count() - before


def test_chat_without_a_session_rebuilds_nothing(settings: Settings) -> None:
    assert noted(text(0, "hello"), text(1, "Where are you?")) == 0
    settings.SESSION_START = "keyword"
    assert noted(picture(2)) == 0


@pytest.mark.parametrize("message", [text(5, "hello"), text(HOUR, "hello"), picture(5)])
def test_each_message_of_a_session_rebuilds_it(
    settings: Settings, message: Json
) -> None:
    settings.SESSION_START = "keyword"
    receive(text(0, "sell"))
    assert noted(message) == 1


def test_a_session_that_is_over_is_rebuilt_by_what_was_on_its_way(
    settings: Settings,
) -> None:
    settings.SESSION_START = "keyword"
    receive(text(0, "sell"), picture(1), text(2, "done"), text(3, "A scratch."))
    on_its_way = int(LATE_PHOTO_GRACE.total_seconds()) + 2
    assert (noted(picture(on_its_way)), noted(text(HOUR, "Thank you"))) == (1, 0)


def test_a_session_that_waits_to_be_rebuilt_hears_what_follows(
    settings: Settings,
) -> None:
    settings.SESSION_START = "keyword"
    receive(text(0, "hello"))
    (message,) = Message.objects.all()
    line = {
        "contact": message.contact,
        "provider": message.provider,
        "account": message.account,
    }
    SessionRebuild.objects.create(
        **line,
        since=message.occurred_at,
        not_before=database_now() + timedelta(hours=1),
    )
    assert noted(picture(1)) == 1


# --- errors while sessions are rebuilt ----------------------------------------------------


def time_passes() -> None:
    SessionRebuild.objects.update(not_before=datetime.now(UTC) - timedelta(seconds=1))


def test_an_error_in_a_session_costs_no_message(settings: Settings) -> None:
    words, settings.SESSION_WORDS_DONE = settings.SESSION_WORDS_DONE, None
    receive(picture(0), text(1, "done"))
    assert (Message.objects.count(), Media.objects.count(), sessions()) == (2, 1, [])
    assert set(Delivery.objects.values_list("state", flat=True)) == {
        Delivery.State.PROCESSED
    }
    (failing,) = SessionRebuild.objects.failing()
    assert (
        failing.error
        == "Its sessions could not be rebuilt: TypeError. The log has the details."
    )
    settings.SESSION_WORDS_DONE = words
    assert rebuilds.rebuild_due() == 0, "not before its pause is over"
    time_passes()
    assert rebuilds.rebuild_due() == 1
    assert (stood(), replies_of(one())) == (
        [(State.AWAITING_DETAILS, 1)],
        ["ack", "question"],
    )
    assert not SessionRebuild.objects.exists()


def broken(row: PhotoSession) -> PhotoSession:
    """A session that raises whenever somebody looks at it."""
    row.outbox.filter(kind=Kind.QUESTION).update(
        sending_at=datetime.now(UTC), state=OutboxItem.State.SENT, said=[]
    )
    return row


def test_a_session_that_raises_stops_no_other_one() -> None:
    receive(
        *(picture(0, of=of) for of in (ADA, BOB)),
        text(1, "done"),
        text(1, "done", of=BOB),
    )
    broken(one())
    Media.objects.update(state=Media.State.STORED, content_type="image/jpeg")
    assert (session_timers.recheck_unsettled(), one(BOB).is_settled) == (1, True)
    receive(picture(2), picture(2, of=BOB))
    assert (stood(), stood(BOB)) == (
        [(State.AWAITING_DETAILS, 1)],
        [(State.AWAITING_DETAILS, 2)],
    )
    assert {str(row.contact_id) for row in SessionRebuild.objects.failing()} == {
        str(own_id(ADA))
    }


def test_silence_ends_the_sessions_beside_one_that_raises() -> None:
    for of in (ADA, BOB):
        receive(picture(-2 * HOUR, of=of), text(1 - 2 * HOUR, "done", of=of))
        age(one(of), HOUR + 1)
    broken(one())
    assert (session_timers.expire_silent(), one(BOB).state) == (1, State.SUBMITTED)
    assert (session_timers.expire_silent(), session_timers.recheck_unsettled()) == (
        0,
        1,
    ), "the one that raises waits for its rebuild"


def test_each_failure_doubles_the_pause() -> None:
    receive(picture(0), text(1, "done"))
    broken(one())
    receive(picture(2))
    pauses = []
    for _ in range(3):
        (row,) = SessionRebuild.objects.failing()
        pauses.append(round((row.not_before - database_now()).total_seconds(), -1))
        time_passes()
        assert rebuilds.rebuild_due() == 0
    assert pauses == [30, 60, 120]


def test_a_decision_is_stored_although_its_session_raises(settings: Settings) -> None:
    receive(picture(0))
    words, settings.SESSION_WORDS_DONE = settings.SESSION_WORDS_DONE, None
    assert rebuilds.decide(one(), Verb.CANCEL) is True
    assert one().state == State.COLLECTING
    settings.SESSION_WORDS_DONE = words
    time_passes()
    rebuilds.rebuild_due()
    assert one().state == State.CANCELLED


def test_nothing_is_sent_before_the_sessions_are_rebuilt(shop: Shop) -> None:
    receive(picture(0))
    row = one()
    waiting = SessionRebuild.objects.create(
        **asdict(conversations.conversation_of(row)), since=row.started_at
    )
    assert outbox.send_due() == 0
    waiting.delete()
    assert outbox.send_due() == 1


def test_all_unsettled_sessions_are_rechecked_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_timers, "SESSIONS_PER_PASS", 2)
    everybody = [f"whatsapp:+1433111{number:04}" for number in range(5)]
    receive(*(picture(number, of=of) for number, of in enumerate(everybody)))
    first = PhotoSession.objects.order_by("last_at")[0]
    Media.objects.filter(id__in=first.media_ids).update(
        state=Media.State.STORED, content_type="image/jpeg"
    )
    assert [session_timers.recheck_unsettled() for _ in range(3)] == [2, 2, 2]
    first.refresh_from_db()
    assert first.is_settled


# --- files that turn out to be photos -----------------------------------------------------


def unnamed(second: int) -> Json:
    """A file that its sender's program has not looked into."""
    file = {
        "id": f"document-{second}",
        "sha256": b64encode(bytes([second] * 32)).decode(),
    }
    return kind(second, "document", {**file, "mime_type": "application/octet-stream"})


def stored(provider_media_id: str, content_type: str) -> None:
    state = Media.State.STORED
    Media.objects.filter(provider_media_id=provider_media_id).update(
        state=state, content_type=content_type
    )
    rebuilds.rebuild_due()
    session_timers.recheck_unsettled()
    rebuilds.rebuild_due()


@pytest.mark.parametrize(
    ("content_type", "photos"), [("image/jpeg", 2), ("application/pdf", 1)]
)
def test_a_file_counts_once_its_type_is_known(
    shop: Shop, content_type: str, photos: int
) -> None:
    receive(picture(0), unnamed(1), text(2, "done"), text(3, "none"))
    outbox.send_due()
    assert stood() == [(State.SUBMITTED, 1)]
    stored("document-1", content_type)
    assert (stood(), SessionRebuild.objects.exists()) == (
        [(State.SUBMITTED, photos)],
        False,
    )
    assert replies_of(one(), queued=True) == (
        ["correction", "hand_over"] if photos == 2 else []
    )


def test_a_file_of_unknown_type_begins_a_session_once_it_is_a_photo() -> None:
    receive(unnamed(1))
    assert sessions() == []
    stored("document-1", "image/jpeg")
    assert stood() == [(State.COLLECTING, 1)]


def test_a_photo_that_is_stored_as_something_else_counts_no_longer(shop: Shop) -> None:
    row = submitted(shop)
    stored(f"media-wamid.{ADA}.2", "application/pdf")
    assert stood() == [(State.SUBMITTED, 1)]
    assert replies_of(row, queued=True) == ["correction", "hand_over"]


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


def test_a_word_moves_such_a_photo_into_a_session_of_its_own(shop: Shop) -> None:
    submitted(shop)
    receive(picture(100))
    receive(picture(104))
    receive(text(125, "done"))
    assert stood() == [(State.SUBMITTED, 2), (State.AWAITING_DETAILS, 2)]


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


# --- staff --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "state"), [(Verb.CLOSE, State.SUBMITTED), (Verb.CANCEL, State.CANCELLED)]
)
def test_staff_decide_of_an_open_session_once(
    shop: Shop, verb: PhotoSession.Verb, state: str
) -> None:
    receive(picture(0))
    assert rebuilds.decide(one(), verb) is True
    assert rebuilds.decide(one(), Verb.CANCEL) is False
    assert stood() == [(state, 1)]
    assert replies_of(one()) == (
        ["ack", "hand_over"] if verb == Verb.CLOSE else ["ack"]
    )


def test_a_decision_outlives_a_late_photo() -> None:
    receive(picture(0))
    rebuilds.decide(one(), Verb.CANCEL)
    receive(picture(-5))
    assert stood() == [(State.CANCELLED, 2)]


def test_a_decision_about_a_contact_ahead_of_our_time_holds() -> None:
    for ahead in range(200, 208):
        of = f"whatsapp:+1433222{ahead:04}"
        receive(text(ahead, "sell", of=of))
        assert rebuilds.decide(one(of), Verb.CANCEL) is True
        assert stood(of) == [(State.CANCELLED, 0)]


# --- RESET --------------------------------------------------------------------------------


def deleted() -> set[str]:
    return {
        media.provider_media_id
        for media in Media.objects.filter(state=Media.State.DELETED)
    }


def test_reset_deletes_the_photos_of_this_session_and_of_this_person_only() -> None:
    receive(
        picture(0),
        text(1, "done"),
        text(2, "none"),
        picture(3),
        picture(0, of=BOB),
        text(4, "reset"),
    )
    assert stood() == [(State.SUBMITTED, 1), (State.CANCELLED, 1)]
    assert deleted() == {f"media-wamid.{ADA}.3"}


def test_reset_spares_what_was_also_sent_elsewhere() -> None:
    first = picture(0)
    same = {**first, "id": "wamid.again", "timestamp": str(SENT + 3)}
    receive(first, text(1, "done"), text(2, "none"), same, picture(4), text(5, "reset"))
    assert stood() == [(State.SUBMITTED, 1), (State.CANCELLED, 2)]
    assert deleted() == {f"media-wamid.{ADA}.4"}


def test_reset_deletes_what_comes_late_as_well() -> None:
    receive(picture(0), text(4, "reset"))
    receive(picture(3))
    assert deleted() == {f"media-wamid.{ADA}.0", f"media-wamid.{ADA}.3"}


def test_reset_deletes_every_file_of_the_session(settings: Settings) -> None:
    voice = kind(
        3,
        "audio",
        {
            "id": "voice-1",
            "mime_type": "audio/ogg",
            "sha256": b64encode(bytes(32)).decode(),
        },
    )
    paper = kind(
        4,
        "document",
        {**voice["audio"], "id": "paper-1", "mime_type": "application/pdf"},
    )
    receive(picture(0), text(1, "done"), voice, paper, picture(300), text(301, "reset"))
    assert stood() == [(State.CANCELLED, 1)]
    photos = {f"media-wamid.{ADA}.{second}" for second in (0, 300)}
    assert deleted() == {*photos, "voice-1", "paper-1"}


def test_reset_reads_no_file_but_its_own() -> None:
    receive(picture(0), picture(0, of=BOB), text(4, "reset"))
    others = Attachment.objects.get(message__contact__owners__owner=BOB)
    Attachment.objects.bulk_create(
        Attachment(
            message_id=others.message_id, media_id=others.media_id, position=place
        )
        for place in range(1, 20_000)
    )
    row = one()
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as queries:
        cursor.execute("ANALYZE")
        session_rows.rebuild_sessions(
            conversations.conversation_of(row), row.started_at
        )
        (update,) = (
            query["sql"]
            for query in queries
            if query["sql"].startswith('UPDATE "media_app_media"')
        )
        cursor.execute(
            f"EXPLAIN {'QUERY PLAN' if connection.vendor == 'sqlite' else ''} {update}"
        )
        plan = str(cursor.fetchall())
    assert "messages_app_attachment" in plan
    assert "SCAN messages_app_attachment" not in plan
    assert "Seq Scan on messages_app_attachment" not in plan


def test_reset_deletes_nothing_of_somebody_on_hold() -> None:
    receive(picture(0))
    Contact.objects.all().hold(True)
    receive(text(4, "reset"))
    assert (stood(), deleted()) == ([(State.CANCELLED, 1)], set())
    assert replies_of(one()) == ["ack", "reset"]


# --- what is no photo ---------------------------------------------------------------------


def kind(second: int, type: str, body: Json) -> Json:
    id = f"wamid.{type}.{second}"
    return {
        "from": ADA.removeprefix("whatsapp:+"),
        "id": id,
        "timestamp": str(SENT + second),
        "type": type,
        type: body,
    }


def test_reactions_and_stickers_are_no_photos_and_no_words() -> None:
    reaction = kind(1, "reaction", {"message_id": "wamid.0", "emoji": "done"})
    sticker = kind(
        2,
        "sticker",
        {
            "id": "sticker-1",
            "mime_type": "image/webp",
            "sha256": b64encode(bytes(32)).decode(),
        },
    )
    receive(reaction, sticker)
    assert sessions() == []
    receive(picture(0))
    assert (stood(), replies_of(one())) == ([(State.COLLECTING, 1)], ["ack"])


@pytest.mark.parametrize(
    ("mime_type", "photos"), [("image/heic", 1), ("application/pdf", 0)]
)
def test_an_image_sent_as_a_document_is_a_photo(mime_type: str, photos: int) -> None:
    file = {
        "id": "document-1",
        "mime_type": mime_type,
        "sha256": b64encode(bytes(32)).decode(),
    }
    receive(text(0, "sell"), kind(1, "document", file))
    assert stood() == [(State.COLLECTING, photos)]


def test_a_pressed_button_submits() -> None:
    button = {
        "type": "button_reply",
        "button_reply": {"id": "skip", "title": "NO, SKIP"},
    }
    receive(picture(0), text(1, "done"), kind(2, "interactive", button))
    assert (stood(), one().details) == ([(State.SUBMITTED, 1)], "")
