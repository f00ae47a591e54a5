"""The events that the deliveries of all providers are read into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Direction = Literal["received", "sent"]
#: By which way a message reached the hub; Message.Origin says what each means.
Origin = Literal["live", "standby", "history", "echo", "listed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttachedMedia:
    """A file of a message. Its place in the tuple is its index."""

    #: The provider's id, or "" where it gives none.
    provider_media_id: str
    content_type: str = ""
    #: Lower-case hex, or "".
    sha256: str = ""
    size: int | None = None
    filename: str = ""
    #: The link that came with the announcement, or "".
    url: str = ""
    #: Why the provider can't pass the file on, or "". Then it has no id, and nothing can be
    #: fetched.
    not_passed_on: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageReceived:
    """A message of a customer, or of the business."""

    account: str
    provider_message_id: str
    #: By Meta's names for every provider: text, image, video, audio, document, sticker, location, …
    kind: str
    occurred_at: datetime
    #: Whether the provider's time was missing or not plausible: then it is the time of receipt.
    time_assumed: bool = False
    #: From a customer, or by the business.
    direction: Direction = "received"
    origin: Origin = "live"
    #: All canonical owners that the message names for the customer, the number first; may be empty.
    owners: tuple[str, ...] = ()
    #: The business's own owner if the business sent it, else "".
    sent_from: str = ""
    #: The provider's id of the group that it was sent in, or "" in a private conversation.
    group_id: str = ""
    #: The customer's profile name, or "".
    name: str = ""
    #: The business's own number as the provider writes it, or "".
    business: str = ""
    #: Text, caption, button title, or the content as text.
    text: str = ""
    #: A button's or list row's id, or "".
    payload: str = ""
    #: The provider's id of the message that this one is about (reply, reaction, edit, revoke), or
    #: "".
    refers_to: str = ""
    media: tuple[AttachedMedia, ...] = ()
    #: When the provider deletes the media; None: after its usual lifetime.
    media_expires_at: datetime | None = None
    #: What the provider says went wrong with it, or "". Its content may be there all the same.
    errors: str = ""
    #: The message as the provider sent it.
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sender(self) -> str:
        """The owner of whoever sent it, or ""."""
        if self.direction == "sent":
            return self.sent_from
        return self.owners[0] if self.owners else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusChanged:
    """A new status of a message that the business sent."""

    account: str
    provider_message_id: str
    #: Meta's names: sent, delivered, read, played, failed; others as the provider names them.
    status: str
    occurred_at: datetime
    #: The owner that it was sent to; of a group the one participant that the status is about. As
    #: the provider writes it where that is no owner; "" where nobody is named.
    recipient: str = ""
    #: The provider's id of the group that it was sent to, or "".
    group_id: str = ""
    #: What the provider charges it as: ``service``, ``marketing``, …, or "".
    category: str = ""
    #: What the provider says went wrong, or "".
    error: str = ""
    #: What we attached when sending (OutgoingMessage.reference), or "".
    reference: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnersLinked:
    """The provider says that these owners are one person."""

    owners: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactNamed:
    """The business calls a customer by this name in its phone's contact book."""

    owners: tuple[str, ...]
    name: str
    named_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Noticed:
    """Something that becomes no message: a field or list that is not read, or an error of the
    account.
    """

    #: The field's name, ``field.list`` for a list in it, or ``errors``.
    name: str
    #: The text of the account's error, or "".
    error: str = ""
    #: Whether it seems to contain a file.
    has_media: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """One part of a delivery that could not be read. The others are processed."""

    #: Where it stands, e.g. ``entry[0].changes[1].messages[2]``; "" for the whole body.
    path: str
    #: Why, for staff.
    error: str
    #: The part as it came, for display.
    payload: Any = None
    #: How many parts it stands for.
    parts: int = 1


Event = (
    MessageReceived | StatusChanged | OwnersLinked | ContactNamed | Noticed | Unreadable
)
