"""The contract of a provider: tell its deliveries from forgeries, read them, send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from messages_app.providers.events import Event
from messages_app.providers.lines import Line


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingRequest:
    """A webhook request as bytes: everything that a signature is computed from."""

    #: Path and query exactly as they came, e.g. ``/webhooks/twilio/?x=1``.
    path: str
    content_type: str
    #: Looked up by names in lower case.
    headers: Mapping[str, str]
    body: bytes


class Cause(StrEnum):
    """Why a webhook was refused."""

    #: Without a signature of the provider's form: it does not come from the provider.
    UNSIGNED = "unsigned"
    NOT_SET = "secret not set"
    WRONG_ADDRESS = "wrong address"
    WRONG_SIGNATURE = "wrong signature"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a webhook was refused, for staff: a sentence that names the setting to change, without
    secrets.
    """

    cause: Cause
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RawDelivery:
    """A stored delivery, ready to be read."""

    #: The webhook endpoint that it came to, e.g. ``meta``, ``twilio``, ``twilio-status``.
    endpoint: str
    content_type: str
    query: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """Whose parts are removed from a delivery: those of these owners, and those about these
    messages (ids of the provider).
    """

    owners: frozenset[str]
    message_ids: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """A button below a message. A message has at most three, all with different titles."""

    #: What comes back as ``MessageReceived.payload``; 256 characters at most.
    id: str
    #: 20 characters at most.
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingMessage:
    """A message of the business to a customer."""

    #: The account that sends it, as in ``MessageReceived.account``.
    account: str
    #: The business's own number as ``MessageReceived.business`` of the message that is answered.
    business: str
    #: An owner: ``whatsapp:+E164``, ``whatsapp:CC.…`` where WhatsApp hides the number,
    #: ``sms:+E164``, … Its scheme is the channel to answer on.
    to: str
    #: A text that is too long for the provider is cut, at a space if there is one.
    text: str
    buttons: tuple[Button, ...] = ()
    #: Ours; comes back as ``StatusChanged.reference``.
    reference: str


class Provider(Protocol):
    """What differs between providers in receiving and sending messages. No models, no database."""

    name: str
    #: The answer to a stored delivery: body and content type.
    acknowledgement: tuple[str, str]
    #: The largest body that is read; the provider never sends so much.
    max_bytes: int
    #: Whether the provider first verifies the address by a GET request.
    has_handshake: bool
    #: Why that request is refused, for the log: names the setting.
    handshake_refusal: str
    #: The webhook endpoints, the first one for messages: ``twilio-status`` is
    #: ``/webhooks/twilio/status/``.
    endpoints: tuple[str, ...]
    #: The setting with the secrets that webhooks are signed with.
    signature_setting: str
    #: How long after a contact's last message the business may answer.
    reply_window: timedelta
    #: Whether the changes in a delivery name a webhook field, by which they can be replayed.
    has_fields: bool
    #: Whether an account is one number of the business, however the number itself is written.
    has_account_per_number: bool

    def challenge(self, query: Mapping[str, str]) -> str | None:
        """The answer to that GET request; None: refuse it."""

    def refusal_of_headers(self, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request with these headers can't be genuine, whatever its body is; None: the body
        decides.

        So the bodies of unsigned requests are never read and decoded.
        """

    def is_genuine(self, request: IncomingRequest) -> bool:
        """Whether the request has the provider's signature. No secret set: False. Never raises."""

    def refusal(self, request: IncomingRequest) -> Refusal:
        """Why a request is not genuine. Call it only for such a request."""

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        """All events of a delivery; Unreadable for each part that can't be read. Never raises."""

    def without(self, delivery: RawDelivery, erased: Erased) -> bytes:
        """The body without the parts of those who are erased; the parts of others stay. The same
        bytes where it has none; b"" where nothing can stay. Never raises.
        """

    def delete_copies(
        self, account: str, message_id: str, media_ids: Sequence[str]
    ) -> Counter[str]:
        """Delete what the provider itself keeps of a message. Returns how many copies were
        ``deleted``, were not there any more (``gone``), or could not be deleted (``kept``).

        Raises SendError subclasses where the provider does not answer, or refuses our credentials.
        """

    def lines(self, raw: Mapping[str, Any]) -> list[Line]:
        """What a stored raw message contains beside its text, for staff. Never raises."""

    def send(self, message: OutgoingMessage) -> str:
        """Send it once. Returns the provider's id of it. Raises SendError subclasses (``sending``),
        which say whether it was sent.
        """
