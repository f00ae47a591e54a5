"""Previews: small WebP pictures of stored files, made once and kept in the bucket.

They lie under ``previews/{key of the original}/{size}.webp``: beside the originals,
never among them, so that listing an owner lists what the owner sent.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import closing, suppress

from media_app.identity import PREVIEWS
from media_app.models import Media
from media_app.previews.image import CONTENT_TYPES, PreviewError, image_preview
from media_app.storage import ObjectExistsError, media_storage

__all__ = ["SIZES", "OriginalLostError", "PreviewError", "can_preview", "ensure_preview", "preview_key"]

SIZES = (320, 1280)
CONTENT_TYPE = "image/webp"
# What a preview is made from is read into memory; WhatsApp's photos have 5 MB at most.
MAX_BYTES = 32 * 1024 * 1024


class OriginalLostError(PreviewError):
    """The storage has no object where the row says stored."""


def can_preview(media: Media) -> bool:
    """Whether a preview can be hoped for."""
    return media.is_stored and media.content_type in CONTENT_TYPES and (media.size or 0) <= MAX_BYTES


def preview_key(media: Media, size: int) -> str:
    return f"{PREVIEWS}{media.key}/{size}.webp"


def ensure_preview(media: Media, size: int) -> bytes:
    """The preview's bytes, from the bucket or made now. Raises PreviewError, StorageError."""
    storage = media_storage()
    key = preview_key(media, size)
    opened = storage.open_range(key)
    if opened is not None:
        with closing(opened):
            return b"".join(opened.chunks())
    original = storage.open_range(media.key)
    if original is None:
        raise OriginalLostError("the bucket has no original")
    with closing(original):
        if original.total > MAX_BYTES:
            raise PreviewError("the original is too large")
        source = io.BytesIO(b"".join(original.chunks()))
    made = image_preview(source, size)
    metadata = {"sha256": hashlib.sha256(made).hexdigest()}
    # It exists where another viewer made it at the same time.
    with suppress(ObjectExistsError):
        storage.put(key, io.BytesIO(made), size=len(made), content_type=CONTENT_TYPE, metadata=metadata)
    if not Media.objects.filter(id=media.id, state=Media.State.STORED).exists():
        storage.delete([key])
        raise PreviewError("the original was deleted meanwhile")
    return made
