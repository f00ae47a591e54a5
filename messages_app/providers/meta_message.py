"""One message of Meta's Cloud API, read.

Fields and types:
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from messages_app.providers.events import MessageReceived, OwnersLinked
from messages_app.providers.meta_content import (
    MEDIA_TYPES,
    content_of,
    media_not_passed_on,
    type_of,
)
from messages_app.providers.meta_envelope import (
    Envelope,
    cards_of,
    recipient_of,
    sender_of,
)
from messages_app.providers.meta_json import (
    Json,
    UnreadableError,
    error_text,
    moment_of,
    object_in,
)
from messages_app.providers.owners import owners_among
from messages_app.providers.text import KIND_LIMIT, sanitize, sanitize_id, sanitize_json

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
    id = sanitize_id(message.get("id"))
    if not id:
        raise UnreadableError("the message has no id")
    type = type_of(message)
    content = content_of(type, message)
    errors = error_text(message.get("errors"))
    media = content.media or media_not_passed_on(type, message, errors)
    if type in MEDIA_TYPES and not media:
        raise UnreadableError(f"the message has no {type} with an id")

    linked: tuple[str, ...] = ()
    if type == "system":
        linked = _linked(message)
    if is_sent:
        customer = recipient_of(message)
    else:
        customer = sender_of(message)
    cards = cards_of(customer, envelope)
    owners = owners_among(
        *customer, *(owner for card in cards for owner in card.owners)
    )
    moment, assumed = moment_of(
        message.get("timestamp"), envelope.received_at, envelope.oldest_believed
    )
    received = MessageReceived(
        account=envelope.account,
        provider_message_id=id,
        kind=sanitize(KINDS.get(type, type), KIND_LIMIT),
        occurred_at=moment,
        time_assumed=assumed,
        direction="sent" if is_sent else "received",
        origin=envelope.origin,
        owners=owners or linked,
        sent_from=_sent_from(message, envelope) if is_sent else "",
        group_id=sanitize_id(message.get("group_id")),
        name=next((card.name for card in cards if card.name), ""),
        business=envelope.business,
        text=content.text or errors,
        payload=content.payload,
        refers_to=content.refers_to
        or sanitize_id(object_in(message, "context").get("id")),
        media=media,
        media_expires_at=envelope.media_expires_at,
        errors=errors,
        raw=sanitize_json(message),
    )
    if len(linked) > 1:
        return [received, OwnersLinked(owners=linked)]
    return [received]


def _linked(message: Json) -> tuple[str, ...]:
    system = object_in(message, "system")
    if system.get("type") not in LINKING:
        return ()
    return owners_among(*sender_of(message), *(system.get(name) for name in LINKED))
