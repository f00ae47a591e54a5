"""The contract of a provider: tell its deliveries from forgeries, read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from messages_app.providers.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingRequest:
    """A webhook request as bytes: all that a signature is made from."""

    #: Path and query exactly as they came, e.g. ``/webhooks/twilio/?x=1``.
    path: str
    content_type: str
    #: Looked up by names in lower case.
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class RawDelivery:
    """A kept delivery, ready to be read."""

    #: The name of the door it came through, e.g. ``meta``, ``twilio``, ``twilio-status``.
    endpoint: str
    content_type: str
    query: str
    body: bytes
    received_at: datetime


class Provider(Protocol):
    """A vendor's way of talking. No models, no database."""

    name: str
    #: What a kept delivery is answered with: body and content type.
    acknowledgement: tuple[str, str]
    #: Whether the vendor asks by GET, before it sends anything, if the address is ours.
    has_handshake: bool

    def challenge(self, query: Mapping[str, str]) -> str | None:
        """The answer to that question; None: refuse it."""

    def is_genuine(self, request: IncomingRequest) -> bool:
        """Whether the request bears the vendor's signature. No secret set: False. Never raises."""

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        """All that a delivery says. Yields Unreadable for what can't be read; never raises."""
