"""The contract of a provider: tell its deliveries from forgeries, read them, send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from messages_app.providers.events import Event
from messages_app.providers.lines import Line


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingRequest:
    """A webhook request as bytes: all that a signature is made from."""

    #: Path and query exactly as they came, e.g. ``/webhooks/twilio/?x=1``.
    path: str
    content_type: str
    #: Looked up by names in lower case.
    headers: Mapping[str, str]
    body: bytes


class Cause(StrEnum):
    """Why a webhook was refused."""

    #: It bears no signature that the vendor could have made: whoever sent it is not the vendor.
    UNSIGNED = "unsigned"
    NOT_SET = "secret not set"
    WRONG_ADDRESS = "wrong address"
    WRONG_SIGNATURE = "wrong signature"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a webhook was refused, for staff: a sentence that names the setting to change. Without
    secrets.
    """

    cause: Cause
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RawDelivery:
    """A kept delivery, ready to be read."""

    #: The name of the door it came through, e.g. ``meta``, ``twilio``, ``twilio-status``.
    endpoint: str
    content_type: str
    query: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """A way to answer by a touch. A message has three at most, no two with the same title."""

    #: What comes back as ``MessageReceived.payload``; 256 characters at most.
    id: str
    #: 20 characters at most.
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingMessage:
    """What the business says to a customer."""

    #: Which of our accounts speaks, as in ``MessageReceived.account``.
    account: str
    #: The business's own number as ``MessageReceived.business`` of the message that is answered.
    business: str
    #: An owner: ``whatsapp:+E164``, ``whatsapp:CC.…`` where WhatsApp hides the number,
    #: ``sms:+E164``, … Its scheme is the channel to answer on.
    to: str
    #: What is too long for the vendor is cut, at a space if there is one.
    text: str
    buttons: tuple[Button, ...] = ()
    #: Ours; comes back as ``StatusChanged.reference``.
    reference: str


class Provider(Protocol):
    """A vendor's way of talking. No models, no database."""

    name: str
    #: What a kept delivery is answered with: body and content type.
    acknowledgement: tuple[str, str]
    #: The largest body that is read; the vendor never sends so much.
    max_bytes: int
    #: Whether the vendor asks by GET, before it sends anything, if the address is ours.
    has_handshake: bool
    #: Whether an account is one number of the business, however the number itself is written.
    has_account_per_number: bool

    def challenge(self, query: Mapping[str, str]) -> str | None:
        """The answer to that question; None: refuse it."""

    def refusal_of_headers(self, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request with these headers can't be genuine, whatever its body is; None: the body
        decides.

        It keeps strangers from making us read and decode what they send.
        """

    def is_genuine(self, request: IncomingRequest) -> bool:
        """Whether the request bears the vendor's signature. No secret set: False. Never raises."""

    def refusal(self, request: IncomingRequest) -> Refusal:
        """Why a request is not genuine. Only for one that is not."""

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        """All that a delivery says. Yields Unreadable for what can't be read; never raises."""

    def lines(self, raw: Mapping[str, Any]) -> list[Line]:
        """What a message says beside its text, for staff; of the message as it was kept. Never
        raises.
        """

    def send(self, message: OutgoingMessage) -> str:
        """Send it once; the vendor's id of it. Raises SendError subclasses (``sending``), which say
        if it went out.
        """
