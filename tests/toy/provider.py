"""A third provider, as ``messages_app/providers/toy.py`` would be: JSON with an HMAC header.

A real one reads its address and secrets from the settings; this one is given them.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from media_app.identity import occurred_at
from messages_app.providers import lenient_json
from messages_app.providers.base import (
    Cause,
    Erased,
    IncomingRequest,
    OutgoingMessage,
    RawDelivery,
    Refusal,
)
from messages_app.providers.events import (
    AttachedMedia,
    Event,
    MessageReceived,
    Unreadable,
)
from messages_app.providers.http import ErrorCodes, post
from messages_app.providers.lines import Line
from messages_app.providers.owners import owners_among
from messages_app.providers.sending import CredentialsRefusedError
from messages_app.providers.text import (
    KIND_LIMIT,
    TEXT_LIMIT,
    TYPE_LIMIT,
    sanitize,
    sanitize_id,
    sanitize_link,
)

CODES = ErrorCodes(credentials=frozenset(), busy=frozenset(), refusals={})


class ToyProvider:
    """One message in each delivery: its text, and the link of its file."""

    name = "toy"
    acknowledgement = ("", "text/plain")
    max_bytes = 64 * 1024
    has_handshake = False
    handshake_refusal = ""
    endpoints: tuple[str, ...] = ("toy",)
    signature_setting = "TOY_SECRET"
    reply_window = timedelta(days=2)
    has_fields = False
    has_account_per_number = False

    def __init__(self, api_url: str = "", token: str = "", secret: str = "") -> None:
        self._api_url, self._token, self._secret = api_url, token, secret

    def challenge(self, query: Mapping[str, str]) -> str | None:
        return None

    def refusal_of_headers(self, headers: Mapping[str, str]) -> Refusal | None:
        if not self._secret:
            return Refusal(cause=Cause.NOT_SET, reason="TOY_SECRET is not set.")
        if not headers.get("x-toy-signature"):
            reason = "The request has no X-Toy-Signature."
            return Refusal(cause=Cause.UNSIGNED, reason=reason)
        return None

    def is_genuine(self, request: IncomingRequest) -> bool:
        claimed = request.headers.get("x-toy-signature", "").encode(errors="replace")
        own = signature(self._secret, request.body).encode()
        return bool(self._secret) and hmac.compare_digest(own, claimed)

    def refusal(self, request: IncomingRequest) -> Refusal:
        return self.refusal_of_headers(request.headers) or Refusal(
            cause=Cause.WRONG_SIGNATURE, reason="TOY_SECRET is not this account's."
        )

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        try:
            yield _message(lenient_json.loads(delivery.body), delivery)
        except (ValueError, LookupError, TypeError) as error:
            yield Unreadable(path="", error=f"not a message: {type(error).__name__}")

    def without(self, delivery: RawDelivery, erased: Erased) -> bytes:
        return b""

    def delete_copies(
        self, account: str, message_id: str, media_ids: Sequence[str]
    ) -> Counter[str]:
        # Its API deletes nothing.
        return Counter(kept=1 + len(media_ids))

    def lines(self, raw: Mapping[str, Any]) -> list[Line]:
        return []

    def send(self, message: OutgoingMessage) -> str:
        if not self._token:
            raise CredentialsRefusedError("TOY_TOKEN is not set.")
        content = {"to": message.to.partition(":")[2], "text": message.text}
        answer = post(
            f"{self._api_url}/messages",
            headers={"Authorization": f"Bearer {self._token}"},
            body=json.dumps(content).encode(),
        )
        if answer.succeeded and answer.data.get("id"):
            return sanitize_id(answer.data["id"])
        raise answer.error("Toy", None, CODES)


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def _message(data: Any, delivery: RawDelivery) -> MessageReceived:
    at, assumed = occurred_at(data["at"], delivery.received_at)
    # Toy has no media ids: a file is known by its message and place.
    files = tuple(
        AttachedMedia(
            provider_media_id="",
            url=sanitize_link(file["link"]),
            content_type=sanitize(file["type"], TYPE_LIMIT),
        )
        for file in data["files"]
    )
    return MessageReceived(
        account=sanitize_id(data["account"]),
        provider_message_id=sanitize_id(data["id"]),
        kind=sanitize(data["kind"], KIND_LIMIT),
        occurred_at=at,
        time_assumed=assumed,
        owners=owners_among(data["from"]),
        text=sanitize(data["text"], TEXT_LIMIT),
        media=files,
    )
