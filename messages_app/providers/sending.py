"""What can go wrong in sending, by what it means for the message.

Messages are shown to staff: what happened, without secrets, links, or the vendor's own words, which
may quote a token.
"""

from __future__ import annotations

from datetime import timedelta


class SendError(Exception):
    """Sending failed. Raised as itself only by mistake; use a subclass."""


class NotSentError(SendError):
    """Certainly not sent; the same message may be tried again, in ``retry_after`` if the vendor
    says when.
    """

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CredentialsRefusedError(NotSentError):
    """Not sent because all our credentials are refused: nothing of this account will be, until
    staff change them.
    """


class RefusedError(SendError):
    """Certainly not sent, and never will be: the vendor does not take this message."""


class UnknownOutcomeError(SendError):
    """It may have been sent: it went out, and no answer says what became of it. Trying again might
    send it twice.
    """
