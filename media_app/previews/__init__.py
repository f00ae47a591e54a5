"""Previews: small WebP pictures of stored files, made once by a worker and stored.

They are under ``previews/{key of the original}/{size}.webp``: beside the originals,
never among them, so that listing an owner lists what the owner sent.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import closing, suppress
from tempfile import TemporaryFile
from typing import BinaryIO

from media_app import installation
from media_app.decoding.decoder import CutOffError, DecodingError, decode_picture
from media_app.identity import PREVIEWS
from media_app.models import Media
from media_app.storage import ObjectExistsError, Storage, media_storage

__all__ = [
    "SIZES",
    "CutOffError",
    "OriginalLostError",
    "PreviewError",
    "can_preview",
    "make_previews",
    "original_key",
    "preview_key",
    "stored_preview",
]

SIZES = (320, 1280)
CONTENT_TYPE = "image/webp"
# Of what previews are made; the decoder knows no other formats.
CONTENT_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
# The decoder reads a file into its memory; WhatsApp's photos have 5 MB at most.
MAX_BYTES = 32 * 1024 * 1024


class PreviewError(Exception):
    """No preview can be made of this file."""


class OriginalLostError(PreviewError):
    """The storage has no object where the row says stored."""


def can_preview(media: Media) -> bool:
    """Whether the file is one of which previews are made."""
    return (
        media.is_stored
        and media.content_type in CONTENT_TYPES
        and (media.size or 0) <= MAX_BYTES
    )


def preview_key(media: Media, size: int) -> str:
    return f"{PREVIEWS}{media.key}/{size}.webp"


def original_key(preview: str) -> str:
    """The key of the file that a preview is made of, from the preview's own key."""
    return preview.removeprefix(PREVIEWS).rpartition("/")[0]


def stored_preview(media: Media, size: int) -> bytes | None:
    """The preview's bytes; None when it is not made yet. Raises StorageError."""
    opened = media_storage().open_range(preview_key(media, size))
    if opened is None:
        return None
    with closing(opened):
        return b"".join(opened.chunks())


def make_previews(media: Media) -> None:
    """Make the previews that the bucket does not have. For workers only.

    Raises PreviewError (another attempt ends the same way), CutOffError, StorageError.
    """
    storage = media_storage()
    missing = [size for size in SIZES if storage.head(preview_key(media, size)) is None]
    if not missing:
        return
    with TemporaryFile() as original:
        _copy(storage, media.key, original)
        try:
            made = decode_picture(original, missing)
        except DecodingError as error:
            raise PreviewError(str(error)) from error
    keys = [preview_key(media, size) for size in missing]
    for key, body in zip(keys, made, strict=True):
        _put(storage, key, body)
    stored = Media.objects.filter(id=media.id, state=Media.State.STORED)
    if not stored.filter(key=media.key).exists():
        storage.delete(keys)
        raise PreviewError("the original was deleted or moved meanwhile")


def _copy(storage: Storage, key: str, to: BinaryIO) -> None:
    opened = storage.open_range(key)
    if opened is None:
        installation.check(storage)
        raise OriginalLostError("the bucket has no original")
    with closing(opened):
        if opened.total > MAX_BYTES:
            raise PreviewError("the original is too large")
        for chunk in opened.chunks():
            to.write(chunk)
    to.flush()


def _put(storage: Storage, key: str, body: bytes) -> None:
    metadata = {"sha256": hashlib.sha256(body).hexdigest()}
    # It exists where another worker made it at the same time.
    with suppress(ObjectExistsError):
        storage.put(
            key,
            io.BytesIO(body),
            size=len(body),
            content_type=CONTENT_TYPE,
            metadata=metadata,
        )
