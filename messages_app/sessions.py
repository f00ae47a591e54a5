"""Photo sessions: a pure fold over what a contact said to one number of the business. Nothing here
is counted up.

The fold takes messages in the order of their own times, whenever they came, so that an album whose
webhooks are shuffled, doubled or late ends in the same sessions.
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
# Where a provider sends no time, the time of receipt stands instead: webhooks that come together
# may swap places.
ASSUMED_TOLERANCE = timedelta(seconds=2)


class State(StrEnum):
    COLLECTING = "collecting"
    AWAITING_DETAILS = "awaiting_details"
    SUBMITTED = "submitted"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Reply(StrEnum):
    """What a session owes its contact. The first line of each is owed once a session, the second
    for each cause.
    """

    START, ACK, QUESTION, SUBMITTED, CANCELLED, RESET = (
        "start",
        "ack",
        "question",
        "submitted",
        "cancelled",
        "reset",
    )
    NO_PHOTOS, HINT, ADD = "no_photos", "hint", "add"


FOR_EACH_CAUSE = frozenset({Reply.NO_PHOTOS, Reply.HINT, Reply.ADD})


class Word(StrEnum):
    """What a message may say to the session itself. ``skip`` and ``add`` are buttons' payloads,
    too.
    """

    START, DONE, CANCEL, RESET, SKIP, ADD = (
        "start",
        "done",
        "cancel",
        "reset",
        "skip",
        "add",
    )


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
    #: Whether its sender has deleted it from the chat.
    is_revoked: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One message, or a decision of staff, which counts like one."""

    id: UUID
    at: datetime
    received_at: datetime
    #: Where it was said from.
    owner: str = ""
    #: The number of the business that it was said to, as it was written.
    business: str = ""
    text: str = ""
    #: A pressed button.
    payload: str = ""
    photos: tuple[Photo, ...] = ()
    #: "close" or "cancel" for a decision of staff.
    decision: str = ""
    #: The provider sent no time: ``at`` is when it was received.
    time_assumed: bool = False


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
    #: It was submitted although the question for details was never answered.
    is_unanswered: bool = False
    details: str = ""
    done_at: datetime | None = None
    ended_at: datetime | None = None
    last: Said = field(init=False)
    hinted_at: datetime | None = None
    #: The last DONE that found no photos.
    empty_done: Said | None = None
    #: The CANCEL or RESET that ended it.
    cancelled_by: Said | None = None
    #: Messages with photos of it that came after it was over.
    late: list[Said] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.last = self.first

    @property
    def standing(self) -> list[Photo]:
        """The photos that its sender has not revoked."""
        return [photo for photo in self.photos if not photo.is_revoked]

    @property
    def is_open(self) -> bool:
        return self.state in {State.COLLECTING, State.AWAITING_DETAILS}

    def owe(self, reply: Reply, said: Said) -> None:
        cause = str(said.id) if reply in FOR_EACH_CAUSE else ""
        if not any(owed.reply == reply and owed.cause == cause for owed in self.owed):
            self.owed.append(Owed(reply, cause, said.received_at))

    def owe_no_more(self, reply: Reply, said: Said) -> None:
        self.owed = [
            owed
            for owed in self.owed
            if (owed.reply, owed.cause) != (reply, str(said.id))
        ]

    def end(self, state: State, at: datetime) -> None:
        self.state, self.ended_at = state, at

    def take_late(self) -> None:
        for said in self.late:
            self.last = said
            self.messages.append(said.id)
            self.photos.extend(said.photos)

    def cancel(self, said: Said) -> None:
        self.cancelled_by = said
        self.end(State.CANCELLED, said.at)


def word_of(said: Said, rules: Rules) -> Word | None:
    """What a message says to the session, in any case and with any space or full stop around it."""
    return _word(said.text, said.payload, rules)


def may_begin(text: str, payload: str, shows_file: bool, rules: Rules) -> bool:
    """Whether a message may begin a session where none is; all else that is said changes only
    sessions in reach.
    """
    return _word(text, payload, rules) is not None or (
        shows_file and rules.starts_with_photo
    )


def _word(text: str, payload: str, rules: Rules) -> Word | None:
    if payload in {Word.SKIP, Word.ADD}:
        return Word(payload)
    return rules.words.get(" ".join(text.strip(" \t\r\n.!").casefold().split()))


def fold(
    history: Iterable[Said],
    rules: Rules,
    *,
    now: datetime,
    may_expire: bool,
    missed: datetime | None = None,
) -> list[Session]:
    """The sessions that these messages make, the oldest first; at most the last one is open.

    ``may_expire``: nothing older is still unread, so that silence is silence. ``missed``: the last
    message of the session before all these messages, if that one has expired.
    """
    sessions: list[Session] = []
    # Messages with photos that belong to no session.
    left_out: list[Said] = []
    for said in sorted(
        history, key=lambda each: (each.at, _turn(each, rules), each.id)
    ):
        session = sessions[-1] if sessions and sessions[-1].is_open else None
        # Staff may decide of a session that is silent for long: it is not over before its time has
        # come for us, too.
        if session and not said.decision and said.at - session.last.at > rules.ttl:
            _end_silent(session, rules.ttl)
            session = None
        if sessions:
            missed = (
                sessions[-1].last.at if sessions[-1].state == State.EXPIRED else None
            )
        if session is None and sessions and _still_belongs(sessions[-1], said, rules):
            sessions[-1].late.append(said)
            continue
        session = (
            session
            or _begin_late(said, rules, sessions)
            or _begin(said, rules, sessions, missed, left_out)
        )
        if session is not None:
            left_out.clear()
            _take(session, said, rules)
        elif said.photos:
            left_out.append(said)
    if sessions and may_expire and sessions[-1].is_open:
        _expire(sessions[-1], rules.ttl, now)
    for session in sessions:
        session.take_late()
    return sessions


def is_same_moment(one: Said, other: Said) -> bool:
    """Whether nobody can tell which of two messages was sent first, because a time of theirs was
    assumed.
    """
    is_assumed = one.time_assumed or other.time_assumed
    return is_assumed and abs(one.at - other.at) <= ASSUMED_TOLERANCE


def _turn(said: Said, rules: Rules) -> int:
    """Among messages of the same second: photos come before words, but after the word that begins
    their session.

    A caption counts as a word, too. A decision comes after all that it was taken of.
    """
    if said.decision:
        return 3
    word = word_of(said, rules)
    if word == Word.START:
        return 0
    return 1 if said.photos and word is None else 2


def _begin(
    said: Said,
    rules: Rules,
    sessions: list[Session],
    missed: datetime | None,
    left_out: Iterable[Said],
) -> Session | None:
    """A new session, if this message begins one."""
    word = word_of(said, rules)
    begins = word == Word.START or (rules.starts_with_photo and bool(said.photos))
    # Whoever was too slow says DONE to a session that is over: they are asked for their photos
    # again.
    is_too_late = (
        word == Word.DONE and missed is not None and said.at - missed <= REMEMBERED
    )
    if said.decision or not (begins or is_too_late):
        return None
    earlier = [
        photo
        for photo in left_out
        if word == Word.START and is_same_moment(photo, said)
    ]
    sessions.append(Session((*earlier, said)[0]))
    if word == Word.START and not said.photos:
        sessions[-1].owe(Reply.START, said)
    for photo in earlier:
        _take(sessions[-1], photo, rules)
    return sessions[-1]


def _begin_late(said: Said, rules: Rules, sessions: list[Session]) -> Session | None:
    """A new session of the photos that came after the last one was over, if a word shows that they
    were meant so.
    """
    if not (sessions and sessions[-1].late and rules.starts_with_photo):
        return None
    is_word = word_of(said, rules) in {Word.DONE, Word.CANCEL, Word.RESET}
    if not is_word or said.at - sessions[-1].late[-1].at > rules.ttl:
        return None
    late, sessions[-1].late = sessions[-1].late, []
    sessions.append(Session(late[0]))
    for photo in late:
        _take(sessions[-1], photo, rules)
    return sessions[-1]


def _still_belongs(session: Session, said: Said, rules: Rules) -> bool:
    """Whether these photos belong to a session that is over: they were on their way when its sender
    ended it.
    """
    if not said.photos or word_of(said, rules) == Word.START:
        return False
    if session.state == State.SUBMITTED:
        return session.done_at is not None and said.at <= session.done_at + GRACE
    return session.cancelled_by is not None and is_same_moment(
        session.cancelled_by, said
    )


def _take(session: Session, said: Said, rules: Rules) -> None:
    if said.decision:
        session.end(
            State.SUBMITTED if said.decision == "close" else State.CANCELLED, said.at
        )
        return
    session.last = said
    session.messages.append(said.id)
    if said.photos:
        _take_photos(session, said)
    word = word_of(said, rules)
    if word == Word.CANCEL:
        session.cancel(said)
        session.owe(Reply.CANCELLED, said)
    elif word == Word.RESET:
        session.cancel(said)
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


def _take_photos(session: Session, said: Said) -> None:
    if _is_again(session, said):
        session.state, session.done_at = State.COLLECTING, None
    if session.done_at is not None and said.at > session.done_at + GRACE:
        session.afterthoughts.extend(said.photos)
        return
    session.photos.extend(said.photos)
    session.owe(Reply.ACK, said)
    empty = session.empty_done
    if (
        session.state == State.COLLECTING
        and empty is not None
        and is_same_moment(empty, said)
    ):
        # They were sent before that DONE, for all we know.
        session.owe_no_more(Reply.NO_PHOTOS, empty)
        session.state, session.done_at = State.AWAITING_DETAILS, empty.at
        session.owe(Reply.QUESTION, said)


def _is_again(session: Session, said: Said) -> bool:
    """Whether these photos come instead of those before, all refused: their sender was told to
    begin again.
    """
    is_late = session.done_at is not None and said.at > session.done_at + GRACE
    return is_late and all(
        photo.is_refused or photo.is_revoked for photo in session.photos
    )


def _collect(session: Session, said: Said, word: Word | None) -> None:
    if word == Word.DONE and session.standing:
        session.state, session.done_at = State.AWAITING_DETAILS, said.at
        session.owe(Reply.QUESTION, said)
    elif word == Word.DONE:
        session.empty_done = said
        session.owe(Reply.NO_PHOTOS, said)
    elif (
        said.text
        and not said.photos
        and word != Word.START
        and _may_hint(session, said)
    ):
        session.hinted_at = said.at
        session.owe(Reply.HINT, said)


def _may_hint(session: Session, said: Said) -> bool:
    return session.hinted_at is None or said.at - session.hinted_at >= HINT_EVERY


def _expire(session: Session, ttl: timedelta, now: datetime) -> None:
    """End a session whose contact has been silent, by their own clock and by ours: nobody is late
    because we were.
    """
    if now - session.last.at > ttl and now - session.last.received_at > ttl:
        _end_silent(session, ttl)


def _end_silent(session: Session, ttl: timedelta) -> None:
    """End a session whose contact has fallen silent. Whoever said DONE has given us photos to pass
    on.
    """
    if session.state == State.AWAITING_DETAILS:
        session.is_unanswered = True
        session.end(State.SUBMITTED, session.last.at + ttl)
    else:
        session.end(State.EXPIRED, session.last.at + ttl)
