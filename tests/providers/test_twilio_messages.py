"""What Twilio's forms say, file by file: ``twilio/<label>.txt`` is read as the events beside its
label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from messages_app.providers.events import (
    AttachedMedia,
    Event,
    MessageReceived,
    StatusChanged,
    Unreadable,
)
from messages_app.providers.text import sanitize_id
from tests.providers.deliveries import (
    ADA,
    ADA_HIDDEN,
    RECEIVED,
    bare,
    body,
    labels,
    read,
)

ACCOUNT = "AC" + "0" * 30 + "a1"
SID = "SM" + "0" * 30 + "b2"


def file(number: int = 3, content_type: str = "image/jpeg") -> AttachedMedia:
    sid = f"ME{'0' * 30}c{number}"
    message = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'0' * 30}b2"
    url = f"https://api.twilio.com{message}/Media/{sid}"
    return AttachedMedia(provider_media_id=sid, content_type=content_type, url=url)


def said(kind: str, text: str = "", **fields: Any) -> MessageReceived:
    """What Ada said, but for the fields. Twilio's forms carry no time."""
    ada: dict[str, Any] = {
        "account": ACCOUNT,
        "provider_message_id": SID,
        "occurred_at": RECEIVED,
        "time_assumed": True,
        "owners": (ADA,),
        "name": "Ada",
        "business": "+15550100200",
    }
    return MessageReceived(kind=kind, text=text, **{**ada, **fields})


def sent(kind: str, content_type: str = "image/jpeg") -> MessageReceived:
    return said(kind, media=(file(content_type=content_type),))


def came(status: str, error: str = "") -> StatusChanged:
    return StatusChanged(
        account=ACCOUNT,
        provider_message_id=SID,
        status=status,
        occurred_at=RECEIVED,
        error=error,
        recipient=ADA,
    )


def missing(index: int) -> Unreadable:
    return Unreadable(
        path=f"MediaUrl{index}", error="a file is announced without its link"
    )


ELSEWHERE = (
    "https://example.com/photo.jpg"
    f"?of=/Accounts/{ACCOUNT}/Messages/MM{'0' * 30}b2/Media/ME{'0' * 30}c3"
)

MESSAGES: dict[str, list[Event]] = {
    # Kinds of messages.
    "text": [said("text", "Good morning & more + 1")],
    "text_reply": [said("text", "This one", refers_to="SM" + "0" * 30 + "d4")],
    "image": [said("image", "The harbour", media=(file(),))],
    "video": [sent("video", "video/mp4")],
    "voice_note": [sent("audio", "audio/ogg")],
    "document": [sent("document", "application/pdf")],
    "sticker": [sent("sticker", "image/webp")],
    "location": [said("location", "Harbour Hall, 1 Quay St (52.37, 4.89)")],
    "button": [said("button", "Done", payload="done-42")],
    "list_reply": [said("interactive", "Garden", payload="row-3")],
    "contacts": [said("contacts")],
    # Without a MessageType, or with one we don't know.
    "typeless_text": [said("text", "Hi")],
    "typeless_image": [sent("image")],
    "typeless_webp": [sent("image", "image/webp")],
    "typeless_image_number_missing": [sent("image")],
    "typeless_video": [sent("video", "video/mp4")],
    "typeless_audio": [sent("audio", "audio/ogg")],
    "typeless_document": [sent("document", "application/pdf")],
    "typeless_location": [said("location", "52.37, 4.89")],
    "typeless_button": [said("button", "Done")],
    "typeless_list": [said("interactive", "Garden", payload="row-3")],
    "type_not_known": [sent("image")],
    # Who sent it.
    "from_hidden": [said("text", "Hi", owners=(ADA_HIDDEN,))],
    "from_hidden_and_number": [said("text", "Hi", owners=(ADA, ADA_HIDDEN))],
    "from_nobody": [said("text", "Hi", owners=())],
    # Other channels of the account.
    "sms": [said("text", "Hello", owners=("sms:+14335551212",), name="")],
    "sms_short_code": [said("text", "Hello", owners=("sms:72345",), name="")],
    "mms": [said("image", owners=("sms:+14335551212",), name="", media=(file(),))],
    "rcs": [
        said(
            "image",
            owners=("rcs:+14335551212",),
            business="harbour_agent",
            media=(file(),),
        )
    ],
    "messenger": [
        said(
            "text",
            "Hello",
            owners=("messenger:14335551212",),
            business="102290129340398",
        )
    ],
    "from_unknown_channel": [said("text", "Hi", owners=(), business="viber:harbour")],
    # Accidents.
    "media_ten": [said("image", media=tuple(file(number) for number in range(10)))],
    "media_fewer_than_said": [
        said("image", media=(file(0), file(1), file(2))),
        missing(3),
    ],
    "media_number_garbage": [sent("image")],
    "media_number_missing": [sent("image")],
    "media_number_huge": [said("text")],
    "media_elsewhere": [
        said(
            "image",
            media=(
                AttachedMedia(
                    provider_media_id="", content_type="image/jpeg", url=ELSEWHERE
                ),
            ),
        )
    ],
    "media_link_endless": [said("image"), missing(0)],
    "message_sid_missing": [Unreadable(path="", error="the form has no MessageSid")],
    "message_sid_legacy": [said("text", "Hi")],
    "not_a_form": [Unreadable(path="", error="the form has no MessageSid")],
    "reply_to_endless": [said("text", "This one", refers_to=sanitize_id("S" * 5_000))],
    "body_with_nul": [said("image", "The\ufffdharbour", media=(file(),))],
    "body_not_utf8": [said("image", "\ufffd" * 4, media=(file(),))],
    "field_repeated": [said("text", "one")],
}
STATUSES: dict[str, list[Event]] = {
    "status_queued": [came("queued")],
    "status_delivered": [came("delivered")],
    "status_read": [came("read")],
    "status_undelivered": [came("failed", "63016: Failed to send freeform message")],
    "status_failed": [came("failed", "63018: the number sends more than it may")],
    "status_canceled": [came("failed")],
    "status_legacy": [came("sent")],
    "status_missing": [Unreadable(path="", error="the form has no MessageStatus")],
}


def test_every_file_is_in_a_table() -> None:
    assert labels("twilio") == MESSAGES.keys() | STATUSES.keys()


@pytest.mark.parametrize("label", MESSAGES)
def test_a_form_of_a_message_contains(label: str) -> None:
    assert bare(read(body("twilio", label), "twilio")) == MESSAGES[label]


@pytest.mark.parametrize("label", STATUSES)
def test_a_form_of_a_status_contains(label: str) -> None:
    assert bare(read(body("twilio", label), "twilio-status")) == STATUSES[label]


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ("%2B14335551212", "sms:+14335551212"),
        ("rcs%3A%2B14335551212", "rcs:+14335551212"),
        ("whatsapp%3AUS.4815162342", ADA_HIDDEN),
        ("", ""),
    ],
)
def test_a_status_names_whom_it_was_sent_to(to: str, recipient: str) -> None:
    (status,) = read(
        f"MessageSid={SID}&MessageStatus=sent&From=%2B15550100200&To={to}".encode(),
        "twilio-status",
    )
    assert isinstance(status, StatusChanged)
    assert status.recipient == recipient


@pytest.mark.parametrize("label", sorted(STATUSES.keys() - {"status_missing"}))
def test_a_status_at_the_address_of_messages_is_still_a_status(label: str) -> None:
    assert bare(read(body("twilio", label), "twilio")) == STATUSES[label]


@pytest.mark.parametrize("status", ["Delivered", "partially_delivered", "sent"])
def test_a_file_with_a_status_of_its_own_is_never_lost(status: str) -> None:
    raw = body("twilio", "image").replace(
        b"SmsStatus=received", f"SmsStatus={status}".encode()
    )
    assert bare(read(raw, "twilio")) == MESSAGES["image"]


@pytest.mark.parametrize("label", ["image", "text", "media_fewer_than_said"])
def test_a_message_at_the_address_of_statuses_is_still_a_message(label: str) -> None:
    assert bare(read(body("twilio", label), "twilio-status")) == MESSAGES[label]


def test_the_raw_message_has_all_fields_and_all_values_of_repeated_ones() -> None:
    (message,) = read(body("twilio", "field_repeated"), "twilio")
    assert isinstance(message, MessageReceived)
    assert message.raw["Body"] == ["one", "two"]
    assert message.raw["ReferralNumMedia"] == "0"


def test_an_unreadable_form_is_shown_as_it_came() -> None:
    (event,) = read(b"Body=Hi%20there", "twilio")
    assert event == Unreadable(
        path="", error="the form has no MessageSid", payload="Body=Hi%20there"
    )


def test_a_form_of_more_fields_than_twilio_has_is_not_taken_apart() -> None:
    (event,) = read(body("twilio", "image") + b"&a=1" * 1_000, "twilio")
    assert isinstance(event, Unreadable)
    assert event.error == "more than 1000 fields"


def test_a_hundred_announced_files_without_links_are_ten_complaints() -> None:
    events = read(
        body("twilio", "text").replace(b"NumMedia=0", b"NumMedia=100"), "twilio"
    )
    assert bare(events)[1:] == [missing(index) for index in range(10)]


def test_a_file_keeps_its_type_beside_a_gap() -> None:
    raw = body("twilio", "media_ten").replace(b"MediaUrl0=", b"MediaUrlX=")
    message, gap = bare(read(raw, "twilio"))
    assert message == replace(
        said("image"), media=tuple(file(number) for number in range(1, 10))
    )
    assert gap == missing(0)
