"""What Meta's deliveries say, file by file: ``meta/<label>.json`` is read as the events beside its
label.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from messages_app.providers.events import (
    AttachedMedia,
    ContactNamed,
    Event,
    MessageReceived,
    Noticed,
    OwnersLinked,
    StatusChanged,
    Unreadable,
)
from tests.providers.deliveries import (
    ADA,
    ADA_HIDDEN,
    BOB,
    RECEIVED,
    SENT,
    bare,
    body,
    labels,
    read,
)


def sha256_of(content: str) -> str:
    """The digest of a file that holds these words, as hex; the files spell it in base64."""
    return sha256(content.encode()).hexdigest()


ACCOUNT = "700000000000001"
HARBOUR = AttachedMedia(
    provider_media_id="9000000000000001",
    content_type="image/jpeg",
    sha256=sha256_of("harbour"),
)
MESSAGE = "entry[0].changes[0].messages[0]"


def said(kind: str, text: str = "", **fields: Any) -> MessageReceived:
    """What Ada said in message wamid.A1, but for the fields."""
    ada: dict[str, Any] = {
        "account": ACCOUNT,
        "provider_message_id": "wamid.A1",
        "occurred_at": SENT,
        "owners": (ADA,),
        "name": "Ada",
        "business": "15550100200",
    }
    return MessageReceived(kind=kind, text=text, **{**ada, **fields})


def photo(text: str = "", **fields: Any) -> MessageReceived:
    return said("image", text, **{"media": (HARBOUR,), **fields})


def came(status: str, **fields: Any) -> StatusChanged:
    """How far our message to Ada has come, but for the fields."""
    to_ada: dict[str, Any] = {
        "provider_message_id": "wamid.OUR1",
        "occurred_at": SENT,
        "recipient": ADA,
    }
    return StatusChanged(account=ACCOUNT, status=status, **{**to_ada, **fields})


def broken(path: str, error: str) -> Unreadable:
    return Unreadable(path=path, error=error)


def file(
    id: str, content_type: str, sha256: str = "", **fields: Any
) -> tuple[AttachedMedia]:
    return (
        AttachedMedia(
            provider_media_id=id, content_type=content_type, sha256=sha256, **fields
        ),
    )


GOOD_MORNING = said("text", "Good morning")


def lost(reason: str, content_type: str = "") -> tuple[AttachedMedia]:
    return (
        AttachedMedia(
            provider_media_id="", content_type=content_type, not_passed_on=reason
        ),
    )


TOO_LARGE = "131052: Media download error — The file is too large to download."
NOT_SUPPORTED = (
    "131051: Message type unknown — Message type is currently not supported."
)
INVOICE = said(
    "document",
    "Here it is",
    media=file(
        "2704", "application/pdf", sha256_of("invoice"), filename="Invoice 7.pdf"
    ),
)
NOBODY: dict[str, Any] = {"owners": (), "name": ""}
BUSINESS = "whatsapp:+15550100200"
DAY = timedelta(days=1)
# Media of the history are kept for 14 days, counted from when the history came.
HISTORY: dict[str, Any] = {"origin": "history", "media_expires_at": RECEIVED + 14 * DAY}
SENT_BY_US: dict[str, Any] = {"direction": "sent", "sent_from": BUSINESS}
NO_HISTORY = (
    "The history is not shared: 2593109: History sync is turned off by the business "
    "from the WhatsApp Business App"
)
ADA_OF_OLD: dict[str, Any] = {**HISTORY, "owners": (ADA, ADA_HIDDEN), "name": "ada.l"}
ECHO: dict[str, Any] = {**SENT_BY_US, "origin": "echo", "name": ""}

CASES: dict[str, list[Event]] = {
    # Kinds of messages.
    "text": [GOOD_MORNING],
    "text_reply": [said("text", "This one", refers_to="wamid.OUR1")],
    "text_body_missing": [said("text")],
    "image": [photo()],
    "image_captioned": [
        photo(
            "The harbour",
            media=(
                replace(
                    HARBOUR,
                    size=48213,
                    url="https://lookaside.fbsbx.com/whatsapp_business/attachments/"
                    "?mid=9000000000000001&source=webhook&ext=1795176290&hash=ARa1",
                ),
            ),
        )
    ],
    "video": [
        said(
            "video",
            "Waves",
            media=file("2701", "video/mp4", sha256_of("waves"), size=913000),
        )
    ],
    "voice_note": [
        said("audio", media=file("2702", "audio/ogg; codecs=opus", sha256_of("hello")))
    ],
    "voice_legacy": [
        said("audio", media=file("2703", "audio/ogg; codecs=opus", sha256_of("hello")))
    ],
    "document": [INVOICE],
    "sticker": [said("sticker", media=file("2705", "image/webp", sha256_of("cat")))],
    "group_image": [photo(group_id="Y2FwaV9ncm91cDox")],
    "digest_unreadable": [photo(media=(replace(HARBOUR, sha256=""),))],
    "location": [said("location", "Harbour Hall, 1 Quay St (52.37, 4.89)")],
    "location_bare": [said("location", "52.37, 4.89")],
    "contacts": [said("contacts", "Grace H., Alan T.")],
    "reaction": [said("reaction", "👍", refers_to="wamid.OUR1")],
    "reaction_removed": [said("reaction", refers_to="wamid.OUR1")],
    "button": [said("button", "Done", payload="done-42", refers_to="wamid.OUR1")],
    "button_reply": [said("interactive", "Done", payload="done")],
    "list_reply": [said("interactive", "Garden", payload="row-3")],
    "form_reply": [said("interactive", "Sent")],
    "interactive_empty": [said("interactive")],
    "order": [said("order", "For Friday: 2 × SKU-1 (10.5 EUR), 1 × SKU-2")],
    "system_changed_number": [
        said("system", "User Ada changed from 14335551212 to 14335559898", name=""),
        OwnersLinked(owners=(ADA, "whatsapp:+14335559898")),
    ],
    "system_changed_user_id": [
        said(
            "system",
            "User Ada changed from US.111 to US.222",
            owners=(ADA, "whatsapp:US.111", "whatsapp:US.222"),
            name="",
        ),
        OwnersLinked(owners=(ADA, "whatsapp:US.111", "whatsapp:US.222")),
    ],
    "system_identity_changed": [said("system", "User Ada's identity changed", name="")],
    "system_of_another_kind": [said("system", "User Ada joined", name="")],
    "unsupported": [said("unsupported", NOT_SUPPORTED, errors=NOT_SUPPORTED)],
    "too_large": [said("document", TOO_LARGE, errors=TOO_LARGE, media=lost(TOO_LARGE))],
    "too_large_captioned": [
        said("image", "The harbour", errors=TOO_LARGE, media=lost(TOO_LARGE, "image/*"))
    ],
    "too_large_of_no_type": [
        said("unsupported", TOO_LARGE, errors=TOO_LARGE, media=lost(TOO_LARGE))
    ],
    "too_large_edit": [
        said(
            "edit",
            "The harbour",
            refers_to="wamid.A0",
            errors=TOO_LARGE,
            media=lost(TOO_LARGE, "image/jpeg"),
        )
    ],
    "caption_beside_errors": [photo("The harbour", errors="1: Something")],
    "edit": [said("edit", "Good evening", refers_to="wamid.A0")],
    "edit_image": [
        said("edit", "The old harbour", refers_to="wamid.A0", media=(HARBOUR,))
    ],
    "edit_caption": [said("edit", "The old harbour", refers_to="wamid.A0")],
    "edit_of_an_edit": [said("edit", refers_to="wamid.A0")],
    "revoke": [said("revoke", refers_to="wamid.A0")],
    "request_welcome": [said("request_welcome")],
    "unknown_type": [said("hologram_of_a_length_that_no_col", "Hi")],
    "unknown_type_with_file": [
        said("hologram", "Turn me", media=file("2706", "model/gltf-binary"))
    ],
    "unknown_type_with_id": [said("hologram", "Hi")],
    "type_missing": [photo()],
    "type_not_text": [photo()],
    "type_of_another": [INVOICE],
    "type_and_all_missing": [said("unknown")],
    # Who sent it. A parent id (US.ENT.…) is shared by many people and names none of them.
    "from_hidden": [photo(owners=(ADA_HIDDEN,))],
    "from_hidden_in_from": [said("text", "Hi", owners=(ADA_HIDDEN,), name="")],
    "from_number_and_hidden": [said("text", "Hi", owners=(ADA, ADA_HIDDEN))],
    "from_card_alone": [photo(owners=(ADA_HIDDEN,))],
    "from_card_repeated": [photo(owners=(ADA_HIDDEN,))],
    "from_card_of_two": [photo(**NOBODY)],
    "from_card_adds_hidden": [photo(owners=(ADA, ADA_HIDDEN))],
    "from_card_of_another": [photo(name="")],
    "from_nobody": [photo(**NOBODY)],
    "from_number_as_integer": [photo(name="")],
    "from_two_people": [
        said("text", "I am Ada"),
        said(
            "text",
            "I am Bob",
            provider_message_id="wamid.B1",
            owners=(BOB,),
            name="Bob",
        ),
    ],
    "from_two_people_one_card": [
        said("text", "I am Ada"),
        said("text", "Who am I?", provider_message_id="wamid.B1", **NOBODY),
    ],
    "name_is_username": [said("text", "Hi", name="ada.l")],
    # When.
    "time_in_milliseconds": [photo()],
    "time_as_number": [photo()],
    "time_missing": [photo(occurred_at=RECEIVED, time_assumed=True)],
    "time_too_old": [photo(occurred_at=RECEIVED, time_assumed=True)],
    "time_of_no_calendar": [photo(occurred_at=RECEIVED, time_assumed=True)],
    "time_not_a_time": [photo(occurred_at=RECEIVED, time_assumed=True)],
    # Mended: no photo is lost for what stands beside it.
    "caption_is_a_number": [photo("42")],
    "caption_with_nul": [photo("The\ufffdharbour")],
    "caption_with_half_an_emoji": [photo("The harbour \ufffd")],
    "media_id_is_a_number": [photo()],
    "size_of_no_file": [photo()],
    "link_endless": [photo()],
    "filename_endless": [
        said(
            "document",
            media=file(
                "2704",
                "application/pdf",
                sha256_of("invoice"),
                filename="Invoice\ufffd" + "7" * 247,
            ),
        )
    ],
    "metadata_missing": [photo(account="", business="")],
    "contacts_not_a_list": [photo(name="")],
    # Accidents.
    "image_missing": [broken(MESSAGE, "the message has no image with an id")],
    "image_not_an_object": [broken(MESSAGE, "the message has no image with an id")],
    "image_without_id": [broken(MESSAGE, "the message has no image with an id")],
    "image_without_id_with_nul": [
        broken(MESSAGE, "the message has no image with an id")
    ],
    "message_without_id": [broken(MESSAGE, "the message has no id")],
    "message_not_an_object": [
        GOOD_MORNING,
        broken(MESSAGE, "not an object"),
    ],
    "messages_not_a_list": [broken("entry[0].changes[0].messages", "not a list")],
    "entry_missing": [broken("entry", "not a list")],
    "entry_not_a_list": [broken("entry", "not a list")],
    "entry_not_an_object": [GOOD_MORNING, broken("entry[0]", "not an object")],
    "changes_not_a_list": [GOOD_MORNING, broken("entry[0].changes", "not a list")],
    "change_not_an_object": [
        GOOD_MORNING,
        broken("entry[0].changes[0]", "not an object"),
    ],
    "value_not_an_object": [
        GOOD_MORNING,
        broken("entry[0].changes[0].value", "not an object"),
    ],
    "field_missing": [GOOD_MORNING, broken("entry[0].changes[0].field", "not a name")],
    # Statuses.
    "status_sent": [came("sent", reference="reply-7", category="service")],
    "status_to_hidden": [came("sent", recipient=ADA_HIDDEN)],
    "status_group": [
        came("delivered", group_id="Y2FwaV9ncm91cDox"),
        came("delivered", group_id="Y2FwaV9ncm91cDox", recipient=ADA_HIDDEN),
        came("delivered", group_id="Y2FwaV9ncm91cDox", recipient=""),
        came("delivered", group_id="Y2FwaV9ncm91cDox", recipient="member-7"),
    ],
    "status_failed": [
        came(
            "failed",
            error="131047: Re-engagement message — More than 24 hours have passed.",
        )
    ],
    "status_many": [
        came("delivered"),
        came("read"),
        came("played"),
        came("deleted"),
        came("warp"),
    ],
    "status_mended": [came("s" * 32, reference="reply\ufffd7")],
    "status_broken": [
        came("delivered"),
        broken("entry[0].changes[0].statuses[1]", "the status has no id"),
        broken("entry[0].changes[0].statuses[2]", "the status has no name"),
        came("read"),
        broken("entry[0].changes[0].statuses[3]", "not an object"),
    ],
    # What was said while another app holds the conversation, before the hub was there, or on the
    # business's phone.
    "standby": [photo(origin="standby")],
    "standby_not_an_object": [broken("entry[0].changes[0].standby", "not an object")],
    "history": [
        said("text", "Good morning", occurred_at=SENT - 100 * DAY, **ADA_OF_OLD),
        said(
            "text",
            "We open at nine",
            provider_message_id="wamid.S1",
            occurred_at=SENT - 100 * DAY + timedelta(seconds=60),
            **{**ADA_OF_OLD, **SENT_BY_US},
        ),
        said(
            "media_placeholder",
            provider_message_id="wamid.A2",
            occurred_at=SENT - 3 * DAY,
            **ADA_OF_OLD,
        ),
    ],
    "history_media": [
        photo(provider_message_id="wamid.A2", occurred_at=SENT - 3 * DAY, **HISTORY),
        photo(
            provider_message_id="wamid.S2",
            occurred_at=SENT - 3 * DAY,
            media=(replace(HARBOUR, provider_media_id="9000000000000002"),),
            **{**HISTORY, **SENT_BY_US},
        ),
    ],
    "history_of_another_sender": [
        said("text", "Good morning", **{**HISTORY, "name": ""})
    ],
    "history_broken": [
        broken(
            "entry[0].changes[0].history[0].threads[0].messages[0]",
            "the message has no id",
        ),
        said("text", "Good morning", **{**HISTORY, "name": ""}),
        broken("entry[0].changes[0].history[1].threads", "not a list"),
    ],
    "history_turned_off": [
        broken(
            "entry[0].changes[0].history[0].errors",
            f"{NO_HISTORY} — The business has turned off history sharing.",
        )
    ],
    "history_turned_off_in_messages": [
        broken("entry[0].changes[0].history[0].errors", NO_HISTORY)
    ],
    "echo": [photo(**ECHO)],
    "echo_to_hidden": [
        said("text", "We open at nine", **{**ECHO, "owners": (ADA_HIDDEN,)})
    ],
    "echo_edit": [
        said("edit", "The old harbour", refers_to="wamid.A0", media=(HARBOUR,), **ECHO)
    ],
    "echo_revoke": [said("revoke", refers_to="wamid.A0", **ECHO)],
    # Who is who.
    "contact_book": [
        ContactNamed(owners=(ADA,), name="Ada Lovelace", named_at=SENT - 40 * DAY),
        ContactNamed(owners=(BOB,), name="Bob", named_at=SENT),
        broken("entry[0].changes[0].state_sync[3]", "the contact has no number"),
    ],
    "user_id_update": [
        OwnersLinked(owners=(ADA, "whatsapp:US.111", "whatsapp:US.222")),
        OwnersLinked(owners=("whatsapp:US.333", "whatsapp:US.444")),
        broken("entry[0].changes[0].user_id_update[3]", "the update names nobody"),
    ],
    # Not for us.
    "field_account_update": [Noticed(name="account_update")],
    "field_with_media": [Noticed(name="flows", has_media=True)],
    "list_of_another_name": [GOOD_MORNING, Noticed(name="messages.calls")],
    "contacts_only": [],
    "account_errors": [Noticed(name="errors", error="131000: Something went wrong")],
}
# A message without a type is what it carries.
WITHOUT_TYPE = {
    "text": "text",
    "location": "location",
    "contacts": "contacts",
    "interactive": "button_reply",
    "button": "button",
    "reaction": "reaction",
    "order": "order",
    "document": "document",
    "edit": "edit",
    "revoke": "revoke",
    "system": "system_changed_number",
}
CASES |= {f"type_missing_{type}": CASES[label] for type, label in WITHOUT_TYPE.items()}
BURSTS = {"burst", "burst_third_broken"}


def test_every_file_is_in_the_table() -> None:
    assert labels("meta") == CASES.keys() | BURSTS


@pytest.mark.parametrize("label", CASES)
def test_a_delivery_contains(label: str) -> None:
    assert bare(read(body("meta", label), "meta")) == CASES[label]


def test_a_batch_of_two_entries_with_two_changes_of_five_photos_is_twenty_photos() -> (
    None
):
    events = read(body("meta", "burst"), "meta")
    files = [
        event.media[0].provider_media_id
        for event in events
        if isinstance(event, MessageReceived)
    ]
    assert files == [f"9{number:03}" for number in range(1, 21)]
    assert len(events) == 20


def test_a_broken_photo_leaves_the_other_nineteen_alone() -> None:
    events = read(body("meta", "burst_third_broken"), "meta")
    assert [event.path for event in events if isinstance(event, Unreadable)] == [
        "entry[0].changes[1].messages[2]"
    ]
    assert (
        len(
            {
                event.provider_message_id
                for event in events
                if isinstance(event, MessageReceived)
            }
        )
        == 19
    )


def test_a_message_is_stored_as_it_came() -> None:
    sent = json.loads(body("meta", "image_captioned"))["entry"][0]["changes"][0][
        "value"
    ]["messages"][0]
    (message,) = read(body("meta", "image_captioned"), "meta")
    assert isinstance(message, MessageReceived)
    assert message.raw == sent


def test_a_broken_part_is_shown_as_it_came() -> None:
    (part,) = read(body("meta", "image_without_id"), "meta")
    assert isinstance(part, Unreadable)
    assert part.payload["image"] == {"mime_type": "image/jpeg"}
