"""The commands in messages: START, DONE, CANCEL, RESET, and the answers to the question."""

from __future__ import annotations

from messages_app.session_state import Rules, SessionMessage, Word


def word_of(message: SessionMessage, rules: Rules) -> Word | None:
    """The command in a message, in any case and with any space, full stop or ``!`` around it."""
    return _word(message.text, message.payload, rules)


def may_begin(text: str, payload: str, has_photo: bool, rules: Rules) -> bool:
    """Whether a message may begin a session. Any other message only changes sessions that are open
    or just over.
    """
    if _word(text, payload, rules) is not None:
        return True
    return has_photo and rules.starts_with_photo


def _word(text: str, payload: str, rules: Rules) -> Word | None:
    if payload in {Word.SKIP, Word.ADD}:
        return Word(payload)
    return rules.words.get(" ".join(text.strip(" \t\r\n.!").casefold().split()))
