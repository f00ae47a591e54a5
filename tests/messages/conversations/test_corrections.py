"""What a late photo, a refusal or an older message changes in replies and hand-overs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from media_app.models import Media
from messages_app import outbox, session_replies, session_timers
from messages_app.models import OutboxItem, SessionRebuild
from messages_app.summaries import summarize
from simulator.shop import Shop
from tests.messages.conversations.chat import (
    Kind,
    State,
    one,
    picture,
    receive,
    replies_of,
    stood,
    submitted,
    text,
)
from tests.messages.mail import ADA, BOB, SENT, Json

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


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


def test_the_business_gets_the_later_cancellation(shop: Shop) -> None:
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
