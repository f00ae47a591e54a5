"""What a message is about: another message, or a reply of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from media_app.admin.machine_owned import change_url
from messages_app.models import Message, OutboxItem

MAX_QUOTE = 120

KIND_WORDS = {
    "text": "text",
    "image": "photo",
    "video": "video",
    "audio": "audio",
    "document": "document",
    "sticker": "sticker",
    "location": "location",
    "contacts": "shared contact",
    "reaction": "reaction",
    "interactive": "choice or form",
    "button": "button",
    "order": "order",
    "system": "notice from WhatsApp",
    "unsupported": "not supported",
    "media_placeholder": "file of the history",
    "edit": "edit",
    "revoke": "deletion",
    "request_welcome": "chat opened",
}
_ALONE = {"reaction": "Reacted to", "edit": "Edited", "revoke": "Deleted"}


class Address(NamedTuple):
    """What another message of the same provider calls it by."""

    provider: str
    account: str
    id: str


class Quoted(NamedTuple):
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Quote:
    """The message, or the hub's own reply, that a message is about. Where it is not here, it has no
    address.
    """

    text: str
    url: str
    #: "Reacted to", "Edited", …; "" for an ordinary reply.
    verb: str


def kind_in_words(message: Message) -> str:
    return KIND_WORDS.get(message.kind, message.kind.replace("_", " "))


def shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()}…"


def quote_of(message: Message, quoted: dict[Address, Quoted]) -> Quote | None:
    if not message.refers_to:
        return None
    verb = _ALONE.get(message.kind, "")
    other = quoted.get(referred_by(message))
    if other is None:
        # The business may have sent it by other means: then it is not stored here.
        return Quote("a message that is not here", "", verb)
    return Quote(*other, verb)


def quoted_messages(rows: Sequence[Message]) -> dict[Address, Quoted]:
    """The messages that these are about."""
    ids = {row.refers_to for row in rows if row.refers_to}
    if not ids:
        return {}
    found = Message.objects.filter(provider_message_id__in=ids).defer("raw")
    return {
        address_of(row): Quoted(
            shortened(row.text, MAX_QUOTE) or kind_in_words(row), change_url(row)
        )
        for row in found
    }


def quoted_replies(rows: Sequence[Message]) -> dict[Address, Quoted]:
    """The hub's replies to their senders that these messages are about."""
    if not rows:
        return {}
    found = OutboxItem.objects.filter(
        session__contact__in={row.contact_id for row in rows},
        provider_message_id__in={row.refers_to for row in rows},
    ).select_related("session")
    quoted: dict[Address, Quoted] = {}
    for item in found.exclude(kind=OutboxItem.Kind.HAND_OVER):
        session = item.session
        address = Address(session.provider, session.account, item.provider_message_id)
        text = shortened(item.said.get("text", ""), MAX_QUOTE) or "a reply"
        quoted[address] = Quoted(text, change_url(item))
    return quoted


def address_of(message: Message) -> Address:
    return Address(message.provider, message.account, message.provider_message_id)


def referred_by(message: Message) -> Address:
    return Address(message.provider, message.account, message.refers_to)
