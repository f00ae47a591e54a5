"""The rules of photo sessions: a pure function from a contact's messages to sessions.

Messages are taken in the order of their own times, whenever they arrived: an album whose webhooks
are shuffled, doubled or late ends in the same sessions. Nothing is counted incrementally.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from messages_app.session_order import in_order, order_is_unknown
from messages_app.session_state import (
    Reply,
    Rules,
    Session,
    SessionMessage,
    State,
    Word,
)
from messages_app.session_words import word_of
from messages_app.timing import (
    EXPIRED_SESSION_WINDOW,
    HINT_INTERVAL,
    LATE_PHOTO_GRACE,
)


def sessions_of(
    history: Iterable[SessionMessage],
    rules: Rules,
    *,
    now: datetime,
    may_expire: bool,
    last_at_of_expired: datetime | None = None,
) -> list[Session]:
    """The sessions that these messages make, the oldest first; at most the last one is open.

    ``may_expire``: whether the last session may expire after silence. It may not while an older
    delivery is unread, which may have a message of the session. ``last_at_of_expired``: the time of
    the last message of the session before this history; None unless that session has expired.

    Each message takes the first of these places that fits:

    1. the open session, if its time is not over by then
    2. the session that has just ended, for late photos
    3. a new session of those late photos, if the message is a word that shows it
    4. a new session that the message begins
    5. none; its photos may still be taken by a START of the same moment
    """
    sessions: list[Session] = []
    # Messages with photos that belong to no session.
    unassigned: list[SessionMessage] = []
    for message in in_order(history, rules):
        session = _open_session(sessions, message, rules)
        if session is None and _still_belongs(sessions, message, rules):
            sessions[-1].messages_after_end.append(message)
            continue
        if session is None:
            session = _begin_with_late_photos(message, rules, sessions)
        if session is None:
            if sessions:
                last_at_of_expired = _last_at_if_expired(sessions[-1])
            session = _begin(message, rules, sessions, last_at_of_expired, unassigned)
        if session is not None:
            unassigned.clear()
            _apply(session, message, rules)
        elif message.photos:
            unassigned.append(message)
    if sessions and may_expire and sessions[-1].is_open:
        _expire(sessions[-1], rules.ttl, now)
    for session in sessions:
        session.add_messages_after_end()
    return sessions


def _open_session(
    sessions: list[Session], message: SessionMessage, rules: Rules
) -> Session | None:
    """The open session that the message comes to. One whose time is over by then is ended."""
    if not sessions or not sessions[-1].is_open:
        return None
    session = sessions[-1]
    # A decision of staff counts after that time as well: they see the session as open until
    # ``_expire`` has ended it, and a message that reached the hub late delays that.
    if not message.decision and message.at - session.last.at > rules.ttl:
        _end_after_silence(session, rules.ttl)
        return None
    return session


def _last_at_if_expired(session: Session) -> datetime | None:
    if session.state == State.EXPIRED:
        return session.last.at
    return None


def _begin(
    message: SessionMessage,
    rules: Rules,
    sessions: list[Session],
    last_at_of_expired: datetime | None,
    unassigned: Iterable[SessionMessage],
) -> Session | None:
    """A new session, if this message begins one."""
    word = word_of(message, rules)
    is_start = word == Word.START
    begins = is_start or (rules.starts_with_photo and bool(message.photos))
    # A contact who says DONE soon after their session has expired is asked for the photos again.
    is_done_after_expiry = (
        word == Word.DONE
        and last_at_of_expired is not None
        and message.at - last_at_of_expired <= EXPIRED_SESSION_WINDOW
    )
    if message.decision or not (begins or is_done_after_expiry):
        return None
    earlier = []
    if is_start:
        earlier = [photo for photo in unassigned if order_is_unknown(photo, message)]
    session = Session(next(iter(earlier), message))
    sessions.append(session)
    if is_start and not message.photos:
        session.add_reply(Reply.START, message)
    for photo in earlier:
        _apply(session, photo, rules)
    return session


def _begin_with_late_photos(
    message: SessionMessage, rules: Rules, sessions: list[Session]
) -> Session | None:
    """A new session of the photos that came after the end of the previous one, if a word shows that
    they were meant for a new one.
    """
    if not (sessions and sessions[-1].messages_after_end and rules.starts_with_photo):
        return None
    is_word = word_of(message, rules) in {Word.DONE, Word.CANCEL, Word.RESET}
    if not is_word or message.at - sessions[-1].messages_after_end[-1].at > rules.ttl:
        return None
    with_photos, sessions[-1].messages_after_end = sessions[-1].messages_after_end, []
    sessions.append(Session(with_photos[0]))
    for photo in with_photos:
        _apply(sessions[-1], photo, rules)
    return sessions[-1]


def _still_belongs(
    sessions: list[Session], message: SessionMessage, rules: Rules
) -> bool:
    """Whether the photos of this message belong to the last session, which is over.

    Until LATE_PHOTO_GRACE after DONE they count as sent before it. So do photos of the same moment
    as CANCEL or RESET: nobody can tell which was sent first.
    """
    if not sessions or not message.photos or word_of(message, rules) == Word.START:
        return False
    session = sessions[-1]
    if session.state == State.SUBMITTED:
        return (
            session.done_at is not None
            and message.at <= session.done_at + LATE_PHOTO_GRACE
        )
    return session.cancelled_by is not None and order_is_unknown(
        session.cancelled_by, message
    )


def _apply(session: Session, message: SessionMessage, rules: Rules) -> None:
    """Change the session by one message."""
    if message.decision == "close":
        session.end(State.SUBMITTED, message.at)
        return
    if message.decision:
        session.end(State.CANCELLED, message.at)
        return
    session.last = message
    session.messages.append(message.id)
    if message.photos:
        _add_photos(session, message)
    word = word_of(message, rules)
    if word == Word.CANCEL:
        session.cancel(message)
        session.add_reply(Reply.CANCELLED, message)
    elif word == Word.RESET:
        session.cancel(message)
        session.is_reset = True
        session.add_reply(Reply.RESET, message)
    elif session.state == State.COLLECTING:
        _collect(session, message, word)
    elif word == Word.DONE and session.photos_after_grace:
        session.photos.extend(session.photos_after_grace)
        session.photos_after_grace, session.done_at = [], message.at
    elif word == Word.ADD:
        session.add_reply(Reply.ADD, message)
    elif word == Word.SKIP:
        _submit(session, message, "")
    elif message.text and not message.photos and word is None:
        _submit(session, message, message.text)


def _submit(session: Session, message: SessionMessage, details: str) -> None:
    session.details = details
    session.end(State.SUBMITTED, message.at)
    session.add_reply(Reply.SUBMITTED, message)


def _add_photos(session: Session, message: SessionMessage) -> None:
    is_after_grace = (
        session.done_at is not None and message.at > session.done_at + LATE_PHOTO_GRACE
    )
    if is_after_grace and _has_usable_photos(session):
        session.photos_after_grace.extend(message.photos)
        return
    if is_after_grace:
        # Its sender was asked to send the refused photos again: these replace them.
        session.state, session.done_at = State.COLLECTING, None
    session.photos.extend(message.photos)
    session.add_reply(Reply.ACK, message)
    _accept_empty_done(session, message)


def _accept_empty_done(session: Session, message: SessionMessage) -> None:
    """Let a DONE that came without photos count after all, if these photos are of the same moment:
    they may have been sent before it.
    """
    empty = session.empty_done
    if (
        session.state == State.COLLECTING
        and empty is not None
        and order_is_unknown(empty, message)
    ):
        session.remove_reply(Reply.NO_PHOTOS, empty)
        session.state, session.done_at = State.AWAITING_DETAILS, empty.at
        session.add_reply(Reply.QUESTION, message)


def _has_usable_photos(session: Session) -> bool:
    return any(
        not photo.is_refused and not photo.is_revoked for photo in session.photos
    )


def _collect(session: Session, message: SessionMessage, word: Word | None) -> None:
    if word == Word.DONE and session.current_photos:
        session.state, session.done_at = State.AWAITING_DETAILS, message.at
        session.add_reply(Reply.QUESTION, message)
    elif word == Word.DONE:
        session.empty_done = message
        session.add_reply(Reply.NO_PHOTOS, message)
    elif word != Word.START and _may_hint(session, message):
        session.hinted_at = message.at
        session.add_reply(Reply.HINT, message)


def _may_hint(session: Session, message: SessionMessage) -> bool:
    if not message.text or message.photos:
        return False
    last = session.hinted_at
    return last is None or message.at - last >= HINT_INTERVAL


def _expire(session: Session, ttl: timedelta, now: datetime) -> None:
    """End a session whose last message was both sent and received more than ``ttl`` ago: a message
    that reaches the hub late keeps its session open.
    """
    if now - session.last.at > ttl and now - session.last.received_at > ttl:
        _end_after_silence(session, ttl)


def _end_after_silence(session: Session, ttl: timedelta) -> None:
    """End a session after a silence of ``ttl``. Photos of a contact who said DONE are submitted."""
    if session.state == State.AWAITING_DETAILS:
        session.is_unanswered = True
        session.end(State.SUBMITTED, session.last.at + ttl)
    else:
        session.end(State.EXPIRED, session.last.at + ttl)
