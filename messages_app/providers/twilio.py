"""Twilio's messaging on WhatsApp, SMS, RCS and Messenger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from messages_app.providers import (
    twilio_erasing,
    twilio_reader,
    twilio_sending,
    twilio_signature,
)
from messages_app.providers.base import (
    Erased,
    IncomingRequest,
    OutgoingMessage,
    RawDelivery,
    Refusal,
)
from messages_app.providers.events import Event
from messages_app.providers.lines import Line, limited
from messages_app.providers.twilio_lines import twilio_lines
from messages_app.timing import WHATSAPP_REPLY_WINDOW


class TwilioProvider:
    """All senders of one account."""

    name = "twilio"
    # TwiML without content: replies are sent through the API.
    acknowledgement = ('<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")
    # Its longest form has some 20 KB.
    max_bytes = 256 * 1024
    has_handshake = False
    handshake_refusal = ""
    endpoints: tuple[str, ...] = ("twilio", "twilio-status")
    signature_setting = "TWILIO_AUTH_TOKEN"
    # For its other channels as well.
    reply_window = WHATSAPP_REPLY_WINDOW
    has_fields = False
    has_account_per_number = False

    def challenge(self, query: Mapping[str, str]) -> str | None:
        return None

    def refusal_of_headers(self, headers: Mapping[str, str]) -> Refusal | None:
        return twilio_signature.refusal_of_headers(headers)

    def is_genuine(self, request: IncomingRequest) -> bool:
        return twilio_signature.is_genuine(request)

    def refusal(self, request: IncomingRequest) -> Refusal:
        return twilio_signature.refusal(request)

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        return twilio_reader.read(delivery)

    def without(self, delivery: RawDelivery, erased: Erased) -> bytes:
        return twilio_erasing.without(delivery.body, erased)

    def delete_copies(
        self, account: str, message_id: str, media_ids: Sequence[str]
    ) -> Counter[str]:
        return twilio_erasing.delete_copies(account, message_id, media_ids)

    def lines(self, raw: Mapping[str, Any]) -> list[Line]:
        return limited(twilio_lines(raw))

    def send(self, message: OutgoingMessage) -> str:
        return twilio_sending.send(message)
