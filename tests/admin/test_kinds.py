"""Deliveries of every kind, posted and read as they come from both vendors: staff see words, never
JSON alone.
"""

from __future__ import annotations

from html import unescape

import pytest
from django.test import Client

from messages_app import inbox
from messages_app.models import Contact, Message
from tests.admin.pages import page_of
from tests.messages.mail import (
    ACCOUNTS,
    ADA,
    SENT,
    Json,
    arrive,
    card,
    field,
    meta,
    twilio_form,
)

NUALA = "whatsapp:+353871234567"


def sent(id: str, type: str, **more: object) -> Json:
    return {
        "from": ADA.removeprefix("whatsapp:+"),
        "id": id,
        "timestamp": str(SENT),
        "type": type,
        **more,
    }


def interactive(id: str, type: str, /, **reply: object) -> Json:
    return sent(id, "interactive", interactive={"type": type, type: reply})


#: What each kind says is in tests/providers/test_lines.py; these go all the way.
META: dict[str, tuple[Json, list[str]]] = {
    "escaped": (
        sent("1", "text", text={"body": "<script>alert(1)</script>"}),
        ["<script>alert(1)</script>"],
    ),
    "flow": (
        interactive(
            "2", "nfm_reply", name="flow", response_json='{"first_name": "<b>Ana</b>"}'
        ),
        ["First name", "<b>Ana</b>"],
    ),
    "too large": (
        sent(
            "3",
            "image",
            image={"caption": "roof"},
            errors=[{"code": 131052, "title": "Media download error"}],
        ),
        ["roof", "131052: Media download error"],
    ),
    "unknown": (
        sent("4", "poll", poll={"question": "Tea?"}),
        ["Poll › Question", "Tea?"],
    ),
}


@pytest.mark.both_databases
def test_metas_kinds_are_shown_in_words(viewer: Client) -> None:
    arrive(
        meta(*(message for message, _ in META.values()), contacts=[card("Ada", ADA)])
    )
    inbox.drain()
    html = conversation_with(ADA, viewer)
    for kind, (_, words) in META.items():
        assert all(word in unescape(html) for word in words), kind
    assert "<script>alert" not in html
    assert "{" not in "".join(
        part.partition("</li>")[0] for part in html.split('<li class="bubble')[1:]
    )


@pytest.mark.both_databases
def test_what_happens_to_a_message_is_shown_with_it(viewer: Client) -> None:
    at = sent("wamid.1", "text", text={"body": "at nine"})
    after: list[Json] = [
        sent(
            "wamid.2",
            "edit",
            edit={
                "original_message_id": "wamid.1",
                "message": {"type": "text", **body("at ten")},
            },
        ),
        sent("wamid.3", "reaction", reaction={"message_id": "wamid.1", "emoji": "👍"}),
        sent("wamid.4", "revoke", revoke={"original_message_id": "wamid.1"}),
    ]
    # The last comes first.
    for message in (*reversed(after), at):
        arrive(meta(message, contacts=[card("Ada", ADA)]))
    inbox.drain()
    html = conversation_with(ADA, viewer)
    assert html.count('<li class="bubble') == 1
    assert (
        html.index("at ten")
        < html.index("👍")
        < html.index("deleted by its sender")
        < html.index("at nine")
    )


@pytest.mark.both_databases
def test_the_businesss_own_words_stand_apart(viewer: Client) -> None:
    echo = {
        **sent("wamid.1", "text", **body("We open at nine")),
        "from": ACCOUNTS.meta_number,
        "to": ADA[10:],
    }
    arrive(field("smb_message_echoes", message_echoes=[echo]))
    inbox.drain()
    assert "bubble-sent" in conversation_with(ADA, viewer)


@pytest.mark.both_databases
def test_twilios_kinds_are_shown_in_words(viewer: Client) -> None:
    form = {
        "AccountSid": ACCOUNTS.twilio_account_sid,
        "From": NUALA,
        "To": "whatsapp:+15550100300",
        "NumMedia": "0",
    }
    forwarded = {
        "Body": "look",
        "Forwarded": "true",
        "ReferralHeadline": "Sell it",
        "ErrorCode": "63019",
    }
    arrive(
        twilio_form({**form, "MessageSid": f"SM{1:032}", **forwarded}),
        twilio_form(
            {**form, "MessageSid": f"SM{2:032}", "InteractiveData": '{"city": "Cork"}'}
        ),
    )
    inbox.drain()
    html = conversation_with(NUALA, viewer)
    for word in (
        "look",
        "Forwarded",
        "Ad headline",
        "Sell it",
        "63019",
        "City",
        "Cork",
    ):
        assert word in html


def body(text: str) -> Json:
    return {"text": {"body": text}}


def conversation_with(owner: str, client: Client) -> str:
    contact = Contact.objects.get(owners__owner=owner)
    assert Message.objects.exists()
    return page_of(client, f"/admin/messages_app/contact/{contact.id}/change/")
