"""Decisions of staff, RESET, and files that are no photos."""

from __future__ import annotations

from base64 import b64encode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from media_app.models import Media
from messages_app import conversations, rebuilds, session_rows
from messages_app.models import Attachment, Contact, PhotoSession
from simulator.shop import Shop
from tests.messages.conversations.chat import (
    State,
    Verb,
    kind,
    one,
    picture,
    receive,
    replies_of,
    sessions,
    stood,
    text,
)
from tests.messages.mail import ADA, BOB, SENT

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

# --- staff --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "state"), [(Verb.CLOSE, State.SUBMITTED), (Verb.CANCEL, State.CANCELLED)]
)
def test_staff_decide_of_an_open_session_once(
    shop: Shop, verb: PhotoSession.Verb, state: str
) -> None:
    receive(picture(0))
    assert rebuilds.close_or_cancel(one(), verb) is True
    assert rebuilds.close_or_cancel(one(), Verb.CANCEL) is False
    assert stood() == [(state, 1)]
    assert replies_of(one()) == (
        ["ack", "hand_over"] if verb == Verb.CLOSE else ["ack"]
    )


def test_a_decision_outlives_a_late_photo() -> None:
    receive(picture(0))
    rebuilds.close_or_cancel(one(), Verb.CANCEL)
    receive(picture(-5))
    assert stood() == [(State.CANCELLED, 2)]


def test_a_decision_about_a_contact_ahead_of_our_time_holds() -> None:
    for ahead in range(200, 208):
        of = f"whatsapp:+1433222{ahead:04}"
        receive(text(ahead, "sell", of=of))
        assert rebuilds.close_or_cancel(one(of), Verb.CANCEL) is True
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
        updates = [
            query["sql"]
            for query in queries
            if query["sql"].startswith('UPDATE "media_app_media"')
        ]
        plan = ""
        for update in updates:
            query_plan = "QUERY PLAN" if connection.vendor == "sqlite" else ""
            cursor.execute(f"EXPLAIN {query_plan} {update}")
            plan += str(cursor.fetchall())
    assert "messages_app_attachment" in plan
    assert "SCAN messages_app_attachment" not in plan
    assert "Seq Scan on messages_app_attachment" not in plan


def test_reset_deletes_nothing_of_somebody_on_hold() -> None:
    receive(picture(0))
    Contact.objects.all().hold(True)
    receive(text(4, "reset"))
    assert (stood(), deleted()) == ([(State.CANCELLED, 1)], set())
    assert replies_of(one()) == ["ack", "reset"]


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
    pressed = {"id": "skip", "title": "NO, SKIP"}
    button = {"type": "button_reply", "button_reply": pressed}
    receive(picture(0), text(1, "done"), kind(2, "interactive", button))
    assert (stood(), one().details) == ([(State.SUBMITTED, 1)], "")
