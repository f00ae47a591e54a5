"""Photo sessions: a pure fold over what a contact said to one number of the business. Nothing here is counted up.

The fold takes messages in the order of their own times, whenever they came, so that an album whose webhooks are
shuffled, doubled or late ends in the same sessions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

# A photo that was on its way while its sender wrote DONE.
GRACE = timedelta(seconds=120)
# So long somebody may come back to a session that has expired.
REMEMBERED = timedelta(hours=24)
# Between two hints to somebody who chats while we wait for photos.
HINT_EVERY = timedelta(seconds=60)


class State(StrEnum):
    COLLECTING = "collecting"
    AWAITING_DETAILS = "awaiting_details"
    SUBMITTED = "submitted"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Reply(StrEnum):
    """What a session owes its contact. The first line of each is owed once a session, the second for each cause."""

    START, ACK, QUESTION, SUBMITTED, CANCELLED, RESET = "start", "ack", "question", "submitted", "cancelled", "reset"
    NO_PHOTOS, HINT, ADD = "no_photos", "hint", "add"


FOR_EACH_CAUSE = frozenset({Reply.NO_PHOTOS, Reply.HINT, Reply.ADD})


class Word(StrEnum):
    """What a message may say to the session itself. ``skip`` and ``add`` are buttons' payloads, too."""

    START, DONE, CANCEL, RESET, SKIP, ADD = "start", "done", "cancel", "reset", "skip", "add"


@dataclass(frozen=True, slots=True)
class Rules:
    """How sessions begin and end."""

    #: What is typed, in lower case, by what it means.
    words: dict[str, Word]
    starts_with_photo: bool
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Photo:
    id: UUID
    #: Whether it will never be had: too large, of a forbidden kind, or gone.
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One message, or a decision of staff, which counts like one."""

    id: UUID
    at: datetime
    received_at: datetime
    #: Where it was said from.
    owner: str = ""
    text: str = ""
    #: A pressed button.
    payload: str = ""
    photos: tuple[Photo, ...] = ()
    #: "close" or "cancel" for a decision of staff.
    decision: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    reply: Reply
    #: The message that asks for it, where it is owed once for each; else "".
    cause: str
    caused_at: datetime


@dataclass(slots=True)
class Session:
    """What the messages say of one session."""

    first: Said
    messages: list[UUID] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    #: Photos that came too long after DONE: they wait for another one.
    afterthoughts: list[Photo] = field(default_factory=list)
    state: State = State.COLLECTING
    is_reset: bool = False
    details: str = ""
    done_at: datetime | None = None
    ended_at: datetime | None = None
    last: Said = field(init=False)
    hinted_at: datetime | None = None
    owed: list[Owed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last = self.first

    @property
    def is_open(self) -> bool:
        return self.state in {State.COLLECTING, State.AWAITING_DETAILS}

    def owe(self, reply: Reply, said: Said) -> None:
        cause = str(said.id) if reply in FOR_EACH_CAUSE else ""
        if not any(owed.reply == reply and owed.cause == cause for owed in self.owed):
            self.owed.append(Owed(reply, cause, said.received_at))

    def end(self, state: State, at: datetime) -> None:
        self.state, self.ended_at = state, at


def word_of(said: Said, rules: Rules) -> Word | None:
    """What a message says to the session, in any case and with any space or full stop around it."""
    if said.payload in {Word.SKIP, Word.ADD}:
        return Word(said.payload)
    return rules.words.get(" ".join(said.text.strip(" \t\r\n.!").casefold().split()))


def fold(
    history: Iterable[Said], rules: Rules, *, now: datetime, may_expire: bool, missed: datetime | None = None
) -> list[Session]:
    """The sessions that these messages make, the oldest first; at most the last one is open.

    ``may_expire``: nothing older is still unread, so that silence is silence. ``missed``: the last message of the
    session before all these messages, if that one has expired.
    """
    sessions: list[Session] = []
    for said in sorted(history, key=lambda each: (each.at, _turn(each, rules), each.id)):
        session = sessions[-1] if sessions and sessions[-1].is_open else None
        # Staff may decide of a session that is silent for long: it is not over before its time has come for us, too.
        if session and not said.decision and said.at - session.last.at > rules.ttl:
            session.end(State.EXPIRED, session.last.at + rules.ttl)
            session = None
        if sessions:
            missed = sessions[-1].last.at if sessions[-1].state == State.EXPIRED else None
        session = session or _begin(said, rules, sessions, missed)
        if session is not None:
            _take(session, said, rules)
    if sessions and may_expire and sessions[-1].is_open:
        _expire(sessions[-1], rules.ttl, now)
    return sessions


def _turn(said: Said, rules: Rules) -> int:
    """Among messages of the same second: photos come before words, but after the word that begins their session.

    A caption counts as a word, too. A decision comes after all that it was taken of.
    """
    if said.decision:
        return 3
    word = word_of(said, rules)
    if word == Word.START:
        return 0
    return 1 if said.photos and word is None else 2


def _begin(said: Said, rules: Rules, sessions: list[Session], missed: datetime | None) -> Session | None:
    """A new session, if this message begins one."""
    word = word_of(said, rules)
    begins = word == Word.START or (rules.starts_with_photo and bool(said.photos))
    # Whoever was too slow says DONE to a session that is over: they are asked for their photos again.
    is_too_late = word == Word.DONE and missed is not None and said.at - missed <= REMEMBERED
    if said.decision or not (begins or is_too_late):
        return None
    sessions.append(Session(said))
    if word == Word.START and not said.photos:
        sessions[-1].owe(Reply.START, said)
    return sessions[-1]


def _take(session: Session, said: Said, rules: Rules) -> None:
    if said.decision:
        session.end(State.SUBMITTED if said.decision == "close" else State.CANCELLED, said.at)
        return
    session.last = said
    session.messages.append(said.id)
    if said.photos and _is_again(session, said):
        session.state, session.done_at = State.COLLECTING, None
    if said.photos and (session.done_at is None or said.at <= session.done_at + GRACE):
        session.photos.extend(said.photos)
        session.owe(Reply.ACK, said)
    else:
        session.afterthoughts.extend(said.photos)
    word = word_of(said, rules)
    if word == Word.CANCEL:
        session.end(State.CANCELLED, said.at)
        session.owe(Reply.CANCELLED, said)
    elif word == Word.RESET:
        session.end(State.CANCELLED, said.at)
        session.is_reset = True
        session.owe(Reply.RESET, said)
    elif session.state == State.COLLECTING:
        _collect(session, said, word)
    elif word == Word.DONE and session.afterthoughts:
        session.photos.extend(session.afterthoughts)
        session.afterthoughts, session.done_at = [], said.at
    elif word == Word.ADD:
        session.owe(Reply.ADD, said)
    elif word == Word.SKIP or (said.text and not said.photos and word is None):
        session.details = "" if word == Word.SKIP else said.text
        session.end(State.SUBMITTED, said.at)
        session.owe(Reply.SUBMITTED, said)


def _is_again(session: Session, said: Said) -> bool:
    """Whether these photos come instead of those before, all refused: their sender was told to begin again."""
    is_late = session.done_at is not None and said.at > session.done_at + GRACE
    return is_late and all(photo.is_refused for photo in session.photos)


def _collect(session: Session, said: Said, word: Word | None) -> None:
    if word == Word.DONE and session.photos:
        session.state, session.done_at = State.AWAITING_DETAILS, said.at
        session.owe(Reply.QUESTION, said)
    elif word == Word.DONE:
        session.owe(Reply.NO_PHOTOS, said)
    elif said.text and not said.photos and word != Word.START and _may_hint(session, said):
        session.hinted_at = said.at
        session.owe(Reply.HINT, said)


def _may_hint(session: Session, said: Said) -> bool:
    return session.hinted_at is None or said.at - session.hinted_at >= HINT_EVERY


def _expire(session: Session, ttl: timedelta, now: datetime) -> None:
    """End a session whose contact has been silent, by their own clock and by ours: nobody is late because we were."""
    if now - session.last.at > ttl and now - session.last.received_at > ttl:
        session.end(State.EXPIRED, session.last.at + ttl)
