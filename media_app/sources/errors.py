"""What can go wrong at a provider, by what it means for the file.

``media_app.retry`` reads only these classes; words of a provider stay in the source that raises.
Messages are shown to staff: what happened, without secrets or links.
"""

from __future__ import annotations

from datetime import timedelta


class SourceError(Exception):
    """Fetching failed. Raised as itself only by mistake; use a subclass."""


class UnavailableError(SourceError):
    """The provider could not answer just now: network, time-out, 5xx, a link gone stale."""


class InternalError(SourceError):
    """A defect of ours, or the time limit of the job, stopped the fetch. The provider still has the
    file.
    """


class ThrottledError(SourceError):
    """The provider asks the whole account to slow down."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnauthorizedError(SourceError):
    """The provider's own API refuses our credentials: nothing of this account can be fetched."""


class ForbiddenError(SourceError):
    """The provider refuses this one file."""


class GoneError(SourceError):
    """The provider does not have the file: not yet, or no more."""


class WrongBytesError(SourceError):
    """The fetched bytes are not the announced file: digest, length, type or transfer."""


class TooLargeError(SourceError):
    """The file is larger than this hub accepts."""


class RefusedAddressError(SourceError):
    """The file's address is not one this hub may call."""


class WorkerLostError(SourceError):
    """The worker died while it fetched the file: it was killed, ran out of memory, or crashed."""

    def __init__(self) -> None:
        super().__init__("The worker was lost while it fetched the file.")
