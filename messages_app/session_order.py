"""The order of a contact's messages: by their own times, which have whole seconds."""

from __future__ import annotations

from collections.abc import Iterable

from messages_app.session_state import Rules, SessionMessage, Word
from messages_app.session_words import word_of
from messages_app.timing import ASSUMED_TIME_TOLERANCE


def in_order(history: Iterable[SessionMessage], rules: Rules) -> list[SessionMessage]:
    """The messages by their own times, whenever they reached the hub."""

    def place(message: SessionMessage) -> tuple[object, ...]:
        return message.at, _place_in_second(message, rules), message.id

    return sorted(history, key=place)


def _place_in_second(message: SessionMessage, rules: Rules) -> int:
    """The order of messages of one second: the word that begins a session, photos, other words.

    A caption counts as a word. A decision of staff comes after everything that it was about.
    """
    if message.decision:
        return 3
    word = word_of(message, rules)
    if word == Word.START:
        return 0
    if message.photos and word is None:
        return 1
    return 2


def order_is_unknown(one: SessionMessage, other: SessionMessage) -> bool:
    """Whether nobody can tell which of two messages was sent first, because a time of theirs was
    assumed.
    """
    is_assumed = one.time_assumed or other.time_assumed
    return is_assumed and abs(one.at - other.at) <= ASSUMED_TIME_TOLERANCE
