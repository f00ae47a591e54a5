"""The errors of sending, by what they mean for the message.

Their texts are shown to staff: what happened, without secrets, links, or the provider's own text,
which may quote a token.
"""

from __future__ import annotations

from datetime import timedelta


class SendError(Exception):
    """Sending failed. Raised as itself only by mistake; use a subclass."""


class NotSentError(SendError):
    """Certainly not sent; the same message may be tried again, after ``retry_after`` where it
    is known.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialsRefusedError(NotSentError):
    """Not sent because all our credentials are refused: nothing of this account will be, until
    staff change them.
    """


class RefusedError(SendError):
    """Certainly not sent, and never will be: the provider does not accept this message."""


class UnknownOutcomeError(SendError):
    """It may have been sent: no answer says what became of it. Trying again might send it twice."""
