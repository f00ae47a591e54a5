"""Real files made from (kind, seed): the same bytes in every process that asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256

from simulator.pictures import jpeg_photo, png_screenshot, webp_sticker
from simulator.sample_files import document, video, voice_note


class Kind(IntEnum):
    """What a file is. The numbers stand in media ids: they stay."""

    PHOTO = 1
    SCREENSHOT = 2
    STICKER = 3
    VIDEO = 4
    VOICE = 5
    DOCUMENT = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A file as a provider holds it."""

    kind: Kind
    #: Meta's message type for it.
    message_type: str
    content_type: str
    filename: str
    size: int
    #: Lower-case hex.
    sha256: str
    #: The bytes from the beginning, piece by piece; callable any number of times.
    chunks: Callable[[], Iterator[bytes]]

    @property
    def body(self) -> bytes:
        """All bytes at once: for small files."""
        return b"".join(self.chunks())


@dataclass(frozen=True, slots=True)
class _Form:
    message_type: str
    content_type: str
    extension: str
    make: Callable[[int], bytes]


_FORMS = {
    Kind.PHOTO: _Form("image", "image/jpeg", "jpg", jpeg_photo),
    Kind.SCREENSHOT: _Form("image", "image/png", "png", png_screenshot),
    Kind.STICKER: _Form("sticker", "image/webp", "webp", webp_sticker),
    Kind.VIDEO: _Form("video", "video/mp4", "mp4", video),
    Kind.VOICE: _Form("audio", "audio/ogg", "ogg", voice_note),
    Kind.DOCUMENT: _Form(
        "document", "application/pdf", "pdf", lambda seed: b"".join(document(seed))
    ),
}


# Small files stay: each is asked for by the traffic, by its id's resolution and by its download.
@lru_cache(maxsize=512)
def content(kind: Kind, seed: int, size: int = 0) -> Content:
    """The file; a document of exactly ``size`` bytes where that is given, made while it is read.

    Raises ValueError when another kind is asked for by size, or the size is too small.
    """
    form = _FORMS[kind]
    if size and kind is not Kind.DOCUMENT:
        raise ValueError(f"only documents come in any size, not a {kind.name.lower()}")
    if size:

        def chunks() -> Iterator[bytes]:
            return document(seed, size)
    else:
        body = form.make(seed)

        def chunks() -> Iterator[bytes]:
            return iter((body,))

    digest, length = sha256(), 0
    for chunk in chunks():
        digest.update(chunk)
        length += len(chunk)
    return Content(
        kind=kind,
        message_type=form.message_type,
        content_type=form.content_type,
        filename=f"{kind.name.lower()}-{seed}.{form.extension}",
        size=length,
        sha256=digest.hexdigest(),
        chunks=chunks,
    )
