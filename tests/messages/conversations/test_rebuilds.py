"""Which messages rebuild sessions, and errors while they are rebuilt."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from media_app.clock import database_now
from media_app.models import Media
from messages_app import (
    conversations,
    outbox,
    rebuild_requests,
    rebuilds,
    session_timers,
)
from messages_app.contacts import own_id
from messages_app.models import (
    Delivery,
    Message,
    OutboxItem,
    PhotoSession,
    SessionRebuild,
)
from messages_app.timing import LATE_PHOTO_GRACE
from simulator.shop import Shop
from tests.messages.conversations.chat import (
    HOUR,
    Kind,
    State,
    Verb,
    age,
    kind,
    one,
    picture,
    receive,
    replies_of,
    sessions,
    stood,
    submitted,
    text,
)
from tests.messages.mail import ADA, BOB, Json

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

# --- which messages rebuild sessions ------------------------------------------------------


def noted(*messages: Json) -> int:
    """How many conversations these messages mark to be rebuilt."""
    receive(*messages)
    ids = Message.objects.filter(
        provider_message_id__in=[message["id"] for message in messages]
    )
    before = SessionRebuild.objects.count()
    rebuild_requests.request_rebuilds(ids.values_list("id", flat=True))
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


def test_a_rebuild_begins_at_the_earliest_message() -> None:
    assert noted(picture(5), picture(1), picture(9)) == 1
    earliest = Message.objects.earliest("occurred_at").occurred_at
    assert SessionRebuild.objects.get().since == earliest


def test_a_session_that_is_over_is_rebuilt_by_what_was_on_its_way(
    settings: Settings,
) -> None:
    settings.SESSION_START = "keyword"
    receive(text(0, "sell"), picture(1), text(2, "done"), text(3, "A scratch."))
    on_its_way = int(LATE_PHOTO_GRACE.total_seconds()) + 2
    assert (noted(picture(on_its_way)), noted(text(HOUR, "Thank you"))) == (1, 0)


def test_a_session_that_waits_for_its_rebuild_is_marked_again(
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
    assert rebuilds.close_or_cancel(one(), Verb.CANCEL) is True
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
