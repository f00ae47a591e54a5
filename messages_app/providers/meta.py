"""Meta's WhatsApp Cloud API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from messages_app.providers import (
    meta_erasing,
    meta_reader,
    meta_sending,
    meta_signature,
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
from messages_app.providers.meta_lines import meta_lines
from messages_app.timing import WHATSAPP_REPLY_WINDOW


class MetaProvider:
    """All numbers of one app."""

    name = "meta"
    acknowledgement = ("", "text/plain")
    # Meta sends up to 3 MB.
    max_bytes = 16 * 1024 * 1024
    has_handshake = True
    handshake_refusal = (
        "hub.verify_token is none of META_VERIFY_TOKEN, or that is not set."
    )
    endpoints: tuple[str, ...] = ("meta",)
    signature_setting = "META_APP_SECRET"
    reply_window = WHATSAPP_REPLY_WINDOW
    has_fields = True
    has_account_per_number = True

    def challenge(self, query: Mapping[str, str]) -> str | None:
        return meta_signature.challenge(query)

    def refusal_of_headers(self, headers: Mapping[str, str]) -> Refusal | None:
        return meta_signature.refusal_of_headers(headers)

    def is_genuine(self, request: IncomingRequest) -> bool:
        return meta_signature.is_genuine(request)

    def refusal(self, request: IncomingRequest) -> Refusal:
        return meta_signature.refusal(request)

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        return meta_reader.read(delivery)

    def without(self, delivery: RawDelivery, erased: Erased) -> bytes:
        return meta_erasing.without(delivery.body, erased)

    def delete_copies(
        self, account: str, message_id: str, media_ids: Sequence[str]
    ) -> Counter[str]:
        return meta_erasing.delete_copies(media_ids)

    def lines(self, raw: Mapping[str, Any]) -> list[Line]:
        return limited(meta_lines(raw))

    def send(self, message: OutgoingMessage) -> str:
        return meta_sending.send(message)
