"""Read a delivery of Twilio's: the one message or status of a form.

https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

from collections.abc import Iterator

from messages_app.providers import twilio_sending
from messages_app.providers.base import RawDelivery
from messages_app.providers.events import Event, StatusChanged, Unreadable
from messages_app.providers.owners import owners_among
from messages_app.providers.text import KIND_LIMIT, TEXT_LIMIT, sanitize, sanitize_id
from messages_app.providers.twilio_form import (
    MAX_FIELDS,
    Form,
    first_in_query,
    first_of,
    form_fields,
    raw_form,
    text_of,
)
from messages_app.providers.twilio_message import (
    announced_files,
    channel_of,
    read_message,
)

# Twilio's MessageStatus, where it is not Meta's name already.
STATUSES = {"undelivered": "failed", "canceled": "failed"}
OUTBOUND = frozenset(
    {
        "accepted",
        "scheduled",
        "queued",
        "sending",
        "sent",
        "delivered",
        "partially_delivered",
        "undelivered",
    }
    | {"read", "failed", "canceled"}
)
INBOUND = frozenset({"receiving", "received"})


def read(delivery: RawDelivery) -> Iterator[Event]:
    """The one message or status of a form, and what its message lacks."""
    fields = form_fields(delivery.body)
    if fields is None:
        yield _unreadable(f"more than {MAX_FIELDS} fields", delivery.body)
        return
    form: dict[str, list[str]] = {}
    for name, value in fields:
        form.setdefault(text_of(name), []).append(text_of(value))
    id = sanitize_id(first_of(form, "MessageSid", "SmsMessageSid", "SmsSid"))
    if not id:
        yield _unreadable("the form has no MessageSid", delivery.body)
    elif _is_inbound(form, delivery.endpoint):
        yield from read_message(form, id, delivery)
    else:
        yield _status(form, id, delivery)


def _is_inbound(form: Form, endpoint: str) -> bool:
    """Whether a customer wrote it. The form decides: a message at the status endpoint is still a
    message.
    """
    if not INBOUND.isdisjoint(
        {first_of(form, "MessageStatus"), first_of(form, "SmsStatus")}
    ):
        return True
    if endpoint == "twilio-status" or first_of(form, "MessageStatus"):
        return False
    # A status has neither text nor files. A form that has some is a message, whatever else it has.
    has_content = bool(first_of(form, "Body", "MediaUrl0")) or announced_files(form) > 0
    return has_content or first_of(form, "SmsStatus").lower() not in OUTBOUND


def _status(form: Form, id: str, delivery: RawDelivery) -> Event:
    """https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"""
    status = first_of(form, "MessageStatus", "SmsStatus").lower()
    if not status:
        return _unreadable("the form has no MessageStatus", delivery.body)
    code = first_of(form, "ErrorCode")
    words = first_of(form, "ErrorMessage") or twilio_sending.error_text(code)
    error = ": ".join(part for part in (code, words) if part)
    recipients = owners_among(first_of(form, "To"), scheme=channel_of(form))
    return StatusChanged(
        account=sanitize_id(first_of(form, "AccountSid")),
        provider_message_id=id,
        status=sanitize(STATUSES.get(status, status), KIND_LIMIT),
        occurred_at=delivery.received_at,
        recipient=next(iter(recipients), ""),
        error=sanitize(error, TEXT_LIMIT),
        reference=sanitize(
            first_in_query(delivery.query, twilio_sending.REFERENCE), TEXT_LIMIT
        ),
        raw=raw_form(form),
    )


def _unreadable(error: str, body: bytes) -> Unreadable:
    """The whole form, for display."""
    return Unreadable(
        path="",
        error=error,
        payload=sanitize(body.decode(errors="replace"), TEXT_LIMIT),
    )
