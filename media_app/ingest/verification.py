"""Whether the fetched bytes are the file that was announced."""

from __future__ import annotations

from media_app import filetypes
from media_app.models import Media
from media_app.sources.base import OpenedFile
from media_app.sources.errors import UnavailableError, WrongBytesError
from media_app.spool import Spool


class UnconfirmedError(UnavailableError):
    """The body ended without saying that it was whole: only a second fetch can confirm it."""

    def __init__(self, sha256: str) -> None:
        super().__init__(
            "The provider did not say how long the file is. It is fetched again to compare."
        )
        self.sha256 = sha256


def verify(media: Media, opened: OpenedFile, spool: Spool, sniffed: str) -> None:
    """Compare the bytes with what was announced, by the message or else by its source: the digest,
    else the length, else a proper end.

    Raises WrongBytesError, UnavailableError (an error page in its place), UnconfirmedError.
    """
    # The message is signed: it wins over what its source says of the file.
    digest = media.announced_sha256 or opened.sha256
    if digest:
        if spool.sha256 != digest:
            raise WrongBytesError(
                "What came is not the file that was announced: its SHA-256 differs."
            )
        return
    if spool.size == 0:
        raise UnavailableError("The provider sent an empty file.")
    if filetypes.looks_like_an_error_page(sniffed, media.announced_type):
        raise UnavailableError(
            f"The provider sent {sniffed} where a file was announced."
        )
    size = opened.size if media.announced_size is None else media.announced_size
    if size is not None:
        if spool.size != size:
            raise WrongBytesError(
                f"{size:,} bytes were announced, {spool.size:,} came."
            )
        return
    if not opened.delimited and spool.sha256 != media.unconfirmed_sha256:
        raise UnconfirmedError(spool.sha256)
