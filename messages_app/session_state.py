"""The data of the session rules: messages and settings in, sessions and replies out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    COLLECTING = "collecting"
    AWAITING_DETAILS = "awaiting_details"
    SUBMITTED = "submitted"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Reply(StrEnum):
    """What a session answers its contact."""

    # Sent once in a session.
    START = "start"
    ACK = "ack"
    QUESTION = "question"
    SUBMITTED = "submitted"
    CANCELLED = "cancelled"
    RESET = "reset"
    # Sent once for each message that asks for it.
    NO_PHOTOS = "no_photos"
    HINT = "hint"
    ADD = "add"


FOR_EACH_CAUSE = frozenset({Reply.NO_PHOTOS, Reply.HINT, Reply.ADD})


class Word(StrEnum):
    """A command in a message. ``skip`` and ``add`` are also payloads of buttons."""

    START = "start"
    DONE = "done"
    CANCEL = "cancel"
    RESET = "reset"
    SKIP = "skip"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class Rules:
    """How sessions begin and end."""

    #: What is typed, in lower case, and the word that it means.
    words: dict[str, Word]
    starts_with_photo: bool
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Photo:
    id: UUID
    #: Whether it will never be available: too large, not accepted, or expired.
    is_refused: bool = False
    #: Whether its sender has deleted it from the chat.
    is_revoked: bool = False


@dataclass(frozen=True, slots=True)
class SessionMessage:
    """A message of the contact, or a decision of staff, which is handled like one."""

    id: UUID
    at: datetime
    received_at: datetime
    #: The contact's address that it was sent from.
    owner: str = ""
    #: The number of the business that it was sent to, as the provider writes it.
    business: str = ""
    text: str = ""
    #: Of a pressed button.
    payload: str = ""
    photos: tuple[Photo, ...] = ()
    #: "close" or "cancel" for a decision of staff.
    decision: str = ""
    #: The provider sent no time: ``at`` is the time of receipt.
    time_assumed: bool = False


@dataclass(frozen=True, slots=True)
class PendingReply:
    reply: Reply
    #: The id of the message that asks for it, for a reply that is sent for each cause; else "".
    cause: str
    caused_at: datetime


@dataclass(slots=True)
class Session:
    """One session, as its messages make it."""

    first: SessionMessage
    messages: list[UUID] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    #: Photos that came too long after DONE. They are added by another DONE.
    photos_after_grace: list[Photo] = field(default_factory=list)
    state: State = State.COLLECTING
    is_reset: bool = False
    #: It was submitted although the question for details was never answered.
    is_unanswered: bool = False
    details: str = ""
    done_at: datetime | None = None
    ended_at: datetime | None = None
    last: SessionMessage = field(init=False)
    hinted_at: datetime | None = None
    #: The last DONE that came when there were no photos.
    empty_done: SessionMessage | None = None
    #: The CANCEL or RESET that ended it.
    cancelled_by: SessionMessage | None = None
    #: Messages with photos that belong to it but came after its end.
    messages_after_end: list[SessionMessage] = field(default_factory=list)
    replies: list[PendingReply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last = self.first

    @property
    def current_photos(self) -> list[Photo]:
        """The photos that its sender has not revoked."""
        return [photo for photo in self.photos if not photo.is_revoked]

    @property
    def is_open(self) -> bool:
        return self.state in {State.COLLECTING, State.AWAITING_DETAILS}

    def add_reply(self, reply: Reply, message: SessionMessage) -> None:
        """Reply once in the session, or once for each cause."""
        cause = ""
        if reply in FOR_EACH_CAUSE:
            cause = str(message.id)
        known = {(pending.reply, pending.cause) for pending in self.replies}
        if (reply, cause) not in known:
            self.replies.append(PendingReply(reply, cause, message.received_at))

    def remove_reply(self, reply: Reply, message: SessionMessage) -> None:
        self.replies = [
            pending
            for pending in self.replies
            if (pending.reply, pending.cause) != (reply, str(message.id))
        ]

    def end(self, state: State, at: datetime) -> None:
        self.state, self.ended_at = state, at

    def add_messages_after_end(self) -> None:
        for message in self.messages_after_end:
            self.last = message
            self.messages.append(message.id)
            self.photos.extend(message.photos)

    def cancel(self, message: SessionMessage) -> None:
        self.cancelled_by = message
        self.end(State.CANCELLED, message.at)
