"""What was announced, written down: the measure for what arrived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from simulator.content import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnouncedFile:
    """One file of one message."""

    #: meta or twilio; also the source's name.
    provider: str
    account: str
    media_id: str
    message_id: str
    #: ``whatsapp:+E164``.
    owner: str
    kind: Kind
    #: Lower-case hex.
    sha256: str
    size: int
    #: Without parameters.
    content_type: str
    filename: str
    #: None where the provider sends no time (Twilio).
    occurred_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnouncedMessage:
    """One thing that a customer says, with a file or in words."""

    provider: str
    account: str
    message_id: str
    owner: str
    #: The sender's profile name.
    name: str
    #: Meta's type name.
    kind: str
    #: Caption or text.
    text: str
    sent_at: int
    file: AnnouncedFile | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """All messages of a burst, each once, however often it is delivered."""

    messages: tuple[AnnouncedMessage, ...]

    @property
    def files(self) -> tuple[AnnouncedFile, ...]:
        return tuple(
            message.file for message in self.messages if message.file is not None
        )

    def only(self, message_ids: Iterable[str]) -> Ledger:
        """The part with these messages."""
        wanted = set(message_ids)
        return Ledger(
            tuple(message for message in self.messages if message.message_id in wanted)
        )
