"""One message of Meta's Cloud API, read.

Fields and types:
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from media_app.digests import digest_hex
from media_app.identity import OLDEST_BELIEVED, occurred_at, owner_of
from messages_app.providers.events import (
    AttachedMedia,
    MessageReceived,
    Origin,
    OwnersLinked,
)
from messages_app.providers.owners import is_number, owners_among
from messages_app.providers.text import (
    KIND_LIMIT,
    NAME_LIMIT,
    TEXT_LIMIT,
    TYPE_LIMIT,
    keepable,
    keepable_id,
    keepable_json,
    keepable_link,
    place,
)

Json = Mapping[str, Any]

# "voice" is what gateways of the older API call a voice note.
MEDIA_TYPES = ("image", "video", "audio", "document", "sticker", "voice")
# What shows of a message without a type which one it is. The first that it carries counts.
CARRIED_TYPES = (
    *MEDIA_TYPES,
    *(
        "text",
        "location",
        "contacts",
        "interactive",
        "button",
        "reaction",
        "order",
        "system",
        "edit",
        "revoke",
    ),
)
KINDS = {"voice": "audio"}
# The system messages whose ids all belong to the one who sent them. The words of a
# system message also name ids, beside a name that the customer chooses: not to be trusted.
LINKING = (
    "user_changed_number",
    "customer_changed_number",
    "user_changed_user_id",
    "customer_identity_changed",
)
LINKED = (
    "customer",
    "wa_id",
    "new_wa_id",
    "previous_user_id",
    "user_id",
    "new_user_id",
)

# The history goes back 180 days from when the number was connected; Meta delivers it for up to
# seven days.
HISTORY_BELIEVED = timedelta(days=187)
# "14 days after onboarding": the history comes soon after that.
HISTORY_MEDIA_KEPT = timedelta(days=14)

# What is known of a file without a type of its own.
WHOLE_TYPES = {
    "image": "image/*",
    "video": "video/*",
    "audio": "audio/*",
    "voice": "audio/*",
    "sticker": "image/webp",
}
# The error of a file that Meta could not fetch from its sender.
MEDIA_FAILED = "131052"


class UnreadableError(Exception):
    """A part of a delivery lacks what makes it one; its words are for staff."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a delivery says of one customer."""

    owners: tuple[str, ...]
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What a change says for all its messages."""

    #: The id of the business's number.
    account: str
    #: The business's number as it is written.
    business: str
    #: Cards by each of their owners.
    cards: Mapping[str, Sequence[Card]]
    #: The only card, where all messages come from one sender.
    only_card: Card | None
    received_at: datetime
    origin: Origin = "live"

    @property
    def oldest_believed(self) -> timedelta:
        return HISTORY_BELIEVED if self.origin == "history" else OLDEST_BELIEVED

    @property
    def media_expires_at(self) -> datetime | None:
        """Until when Meta keeps the media; None: counted from each message's own time."""
        if self.origin != "history":
            return None
        set_lifetime = timedelta(hours=settings.META_MEDIA_LIFETIME_HOURS)
        return self.received_at + (set_lifetime or HISTORY_MEDIA_KEPT)

    @property
    def business_owner(self) -> str:
        """The owner of what the business sends, or ""."""
        return owner_of(re.sub("[^0-9]", "", self.business)) or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a message says, whatever its type."""

    text: str = ""
    payload: str = ""
    refers_to: str = ""
    media: tuple[AttachedMedia, ...] = ()


def envelope_of(value: Json, received_at: datetime, origin: Origin) -> Envelope:
    """Read what stands beside the messages. Nothing of it is needed to keep a photo, so nothing of
    it can fail.
    """
    metadata = object_in(value, "metadata")
    customers = {sender_of(message) for message in objects_in(value, "messages")}
    customers |= {
        recipient_of(message) for message in objects_in(value, "message_echoes")
    }
    # A burst repeats its sender's card for each photo.
    cards = list(
        dict.fromkeys(_card(contact) for contact in objects_in(value, "contacts"))
    )
    by_owner: dict[str, list[Card]] = {}
    for card in cards:
        for owner in card.owners:
            by_owner.setdefault(owner, []).append(card)
    return Envelope(
        account=keepable_id(metadata.get("phone_number_id")),
        business=keepable(metadata.get("display_phone_number"), TYPE_LIMIT),
        cards=by_owner,
        only_card=cards[0] if len(cards) == len(customers) == 1 else None,
        received_at=received_at,
        origin=origin,
    )


def envelope_of_thread(thread: Json, envelope: Envelope) -> Envelope:
    """The envelope of a conversation in the history: all its messages are one customer's, or sent
    to them.
    """
    context = object_in(thread, "context")
    customer = Card(
        owners=owners_among(
            thread.get("id"), context.get("wa_id"), context.get("user_id")
        ),
        name=keepable(context.get("username"), NAME_LIMIT),
    )
    cards = {owner: [customer] for owner in customer.owners}
    return replace(envelope, cards=cards, only_card=customer, origin="history")


def read_message(
    message: Json, envelope: Envelope
) -> list[MessageReceived | OwnersLinked]:
    """All that one entry of ``messages`` says. Raises UnreadableError."""
    # Only the history has both sides of a conversation in one list.
    is_sent = envelope.origin == "history" and _is_from_business(message, envelope)
    return _read(message, envelope, is_sent=is_sent)


def read_echo(
    message: Json, envelope: Envelope
) -> list[MessageReceived | OwnersLinked]:
    """All that one entry of ``message_echoes`` says: staff wrote it on their phone. Raises
    UnreadableError.
    """
    return _read(message, envelope, is_sent=True)


def _is_from_business(message: Json, envelope: Envelope) -> bool:
    if envelope.business_owner in sender_of(message):
        return True
    # What customers sent does not say to whom.
    recipient = recipient_of(message)
    return bool(recipient) and envelope.business_owner not in recipient


def _sent_from(message: Json, envelope: Envelope) -> str:
    return envelope.business_owner or next(iter(sender_of(message)), "")


def _read(
    message: Json, envelope: Envelope, *, is_sent: bool
) -> list[MessageReceived | OwnersLinked]:
    id = keepable_id(message.get("id"))
    if not id:
        raise UnreadableError("the message has no id")
    type = _type_of(message)
    content = _content(type, message)
    errors = error_words(message.get("errors"))
    media = content.media or _lost(type, message, errors)
    if type in MEDIA_TYPES and not media:
        raise UnreadableError(f"the message has no {type} with an id")

    linked = _linked(message) if type == "system" else ()
    customer = recipient_of(message) if is_sent else sender_of(message)
    cards = _cards_of(customer, envelope)
    owners = owners_among(
        *customer, *(owner for card in cards for owner in card.owners)
    )
    moment, assumed = moment_of(
        message.get("timestamp"), envelope.received_at, envelope.oldest_believed
    )
    received = MessageReceived(
        account=envelope.account,
        provider_message_id=id,
        kind=keepable(KINDS.get(type, type), KIND_LIMIT),
        occurred_at=moment,
        time_assumed=assumed,
        direction="sent" if is_sent else "received",
        origin=envelope.origin,
        owners=owners or linked,
        sent_from=_sent_from(message, envelope) if is_sent else "",
        group_id=keepable_id(message.get("group_id")),
        name=next((card.name for card in cards if card.name), ""),
        business=envelope.business,
        text=content.text or errors,
        payload=content.payload,
        refers_to=content.refers_to
        or keepable_id(object_in(message, "context").get("id")),
        media=media,
        media_expires_at=envelope.media_expires_at,
        errors=errors,
        raw=keepable_json(message),
    )
    return [received, OwnersLinked(owners=linked)] if len(linked) > 1 else [received]


def sender_of(message: Json) -> tuple[str, ...]:
    """The owners that the message itself names. A parent id is shared by many: it is nobody's."""
    return owners_among(message.get("from"), message.get("from_user_id"))


def recipient_of(message: Json) -> tuple[str, ...]:
    """The owners that a message of the business names for its customer."""
    return owners_among(message.get("to"), message.get("to_user_id"))


def moment_of(
    timestamp: object,
    received_at: datetime,
    oldest_believed: timedelta = OLDEST_BELIEVED,
) -> tuple[datetime, bool]:
    """When it happened, and whether that had to be assumed."""
    try:
        return occurred_at(
            keepable(timestamp, TYPE_LIMIT), received_at, oldest_believed
        )
    except (ValueError, OverflowError, OSError):
        # A year that no calendar has.
        return received_at, True


def error_words(errors: object) -> str:
    """Meta's list of errors in words: ``131047: title — details``, joined by ``;``.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
    """
    if not isinstance(errors, list):
        return ""
    return keepable(
        "; ".join(_error(error) for error in errors if isinstance(error, dict)),
        TEXT_LIMIT,
    )


def brings_media(value: object) -> bool:
    """Whether there is what looks like a file of a message, at whatever depth."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if part.get("id") and part.get("mime_type"):
                return True
            if any(object_in(part, type).get("id") for type in MEDIA_TYPES):
                return True
            left += part.values()
        elif isinstance(part, list):
            left += part
    return False


def object_in(parent: Json, name: str) -> Json:
    """The object of this name; an empty one where there is none."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(parent: Json, name: str) -> list[Json]:
    """The objects in the list of this name; none where there is no list."""
    value = parent.get(name)
    return (
        [part for part in value if isinstance(part, dict)]
        if isinstance(value, list)
        else []
    )


def _type_of(message: Json) -> str:
    """The type that the message names; where it names none, or brings nothing of that type, the one
    it carries.
    """
    sent = message.get("type")
    named = sent if isinstance(sent, str) else ""
    if named and message.get(named):
        return named
    files = (type for type in MEDIA_TYPES if object_in(message, type).get("id"))
    carried = (
        type
        for type in CARRIED_TYPES
        if isinstance(message.get(type), dict | list) and message[type]
    )
    return next(files, "") or named or next(carried, "unknown")


def _content(type: str, message: Json) -> Content:
    body = object_in(message, type)
    match type:
        case "text":
            return Content(text=_words(body, "body"))
        case "location":
            name, address = _words(body, "name"), _words(body, "address")
            return Content(
                text=place(
                    name, address, _words(body, "latitude"), _words(body, "longitude")
                )
            )
        case "contacts":
            return Content(
                text=_joined(
                    ", ",
                    *(_contact_name(contact) for contact in objects_in(message, type)),
                )
            )
        case "reaction":
            return Content(
                text=_words(body, "emoji"),
                refers_to=keepable_id(body.get("message_id")),
            )
        case "interactive":
            reply = object_in(body, "button_reply") or object_in(body, "list_reply")
            form = object_in(body, "nfm_reply")
            return Content(
                text=_words(reply, "title") or _words(form, "body"),
                payload=_words(reply, "id"),
            )
        case "button":
            return Content(text=_words(body, "text"), payload=_words(body, "payload"))
        case "order":
            items = _joined(
                ", ", *(_order_item(item) for item in objects_in(body, "product_items"))
            )
            return Content(text=_joined(": ", _words(body, "text"), items))
        case "system":
            return Content(text=_words(body, "body"))
        case "edit":
            return _edited(body)
        case "revoke":
            return Content(refers_to=keepable_id(body.get("original_message_id")))
        case _:
            return Content(
                text=_words(body, "caption") or _words(body, "body"),
                media=_media(type, body),
            )


def _edited(edit: Json) -> Content:
    inner = object_in(edit, "message")
    type = _type_of(inner)
    # Nobody edits an edit; whoever nests them a thousand deep must not exhaust the stack.
    content = _content(type, inner) if type != "edit" else Content()
    original = keepable_id(edit.get("original_message_id"))
    return Content(
        text=content.text,
        payload=content.payload,
        refers_to=original,
        media=content.media,
    )


def _media(type: str, body: Json) -> tuple[AttachedMedia, ...]:
    """The file that the object announces: always under a media type, by its fields under one we
    don't know yet.
    """
    id = keepable_id(body.get("id"))
    if not id or (type not in MEDIA_TYPES and not body.get("mime_type")):
        return ()
    media = AttachedMedia(
        provider_media_id=id,
        content_type=keepable(body.get("mime_type"), TYPE_LIMIT),
        sha256=digest_hex(keepable(body.get("sha256"), TYPE_LIMIT)),
        size=_size(body.get("file_size")),
        filename=keepable(body.get("filename"), NAME_LIMIT),
        url=keepable_link(body.get("url")),
    )
    return (media,)


def _lost(type: str, message: Json, errors: str) -> tuple[AttachedMedia, ...]:
    """The file that the message had, and that Meta says it can't pass on."""
    inner = (
        object_in(object_in(message, "edit"), "message") if type == "edit" else message
    )
    shown = _type_of(inner)
    codes = {_words(error, "code") for error in objects_in(message, "errors")}
    if not errors or not (shown in MEDIA_TYPES or MEDIA_FAILED in codes):
        return ()
    body = object_in(inner, shown)
    announced = keepable(body.get("mime_type"), TYPE_LIMIT) or WHOLE_TYPES.get(
        shown, ""
    )
    return (AttachedMedia(provider_media_id="", content_type=announced, lost=errors),)


def _size(value: object) -> int | None:
    # Meta writes it as a number here and as text there.
    text = keepable(value, TYPE_LIMIT)
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def _card(contact: Json) -> Card:
    profile = object_in(contact, "profile")
    return Card(
        owners=owners_among(contact.get("wa_id"), contact.get("user_id")),
        name=keepable(profile.get("name"), NAME_LIMIT)
        or keepable(profile.get("username"), NAME_LIMIT),
    )


def _cards_of(sender: tuple[str, ...], envelope: Envelope) -> list[Card]:
    """The cards that share an owner with the sender; else the only card, where nothing speaks
    against it.
    """
    shared = [card for owner in sender for card in envelope.cards.get(owner, ())]
    if shared or not envelope.only_card:
        return shared
    # Two different numbers, or two different hidden ids, are two people until Meta says otherwise.
    differs = {is_number(owner) for owner in sender} & {
        is_number(owner) for owner in envelope.only_card.owners
    }
    return [] if differs else [envelope.only_card]


def _linked(message: Json) -> tuple[str, ...]:
    system = object_in(message, "system")
    if system.get("type") not in LINKING:
        return ()
    return owners_among(*sender_of(message), *(system.get(name) for name in LINKED))


def _error(error: Json) -> str:
    what = _words(error, "title") or _words(error, "message")
    said = _joined(" — ", what, _words(object_in(error, "error_data"), "details"))
    return _joined(": ", _words(error, "code"), said)


def _contact_name(contact: Json) -> str:
    name = object_in(contact, "name")
    return _words(name, "formatted_name") or _joined(
        " ", _words(name, "first_name"), _words(name, "last_name")
    )


def _order_item(item: Json) -> str:
    price = _joined(" ", _words(item, "item_price"), _words(item, "currency"))
    what = _joined(" × ", _words(item, "quantity"), _words(item, "product_retailer_id"))
    return f"{what} ({price})" if price else what


def _words(parent: Json, name: str) -> str:
    return keepable(parent.get(name), TEXT_LIMIT)


def _joined(separator: str, *parts: str) -> str:
    return keepable(separator.join(part for part in parts if part), TEXT_LIMIT)
