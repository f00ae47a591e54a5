"""Small pictures of pictures."""

from __future__ import annotations

import io
from threading import BoundedSemaphore
from typing import BinaryIO

from PIL import Image, ImageOps

CONTENT_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
_FORMATS = ("JPEG", "PNG", "WEBP")
# A header of 66 bytes can claim any size; decoding is refused before memory is taken.
MAX_PIXELS = 50_000_000
_QUALITY = 75
# A picture of that size takes 200 MB while it is decoded: so many at once in one process.
_decoding = BoundedSemaphore(2)


class PreviewError(Exception):
    """No preview can be made of this file."""


def image_preview(source: BinaryIO, size: int) -> bytes:
    """A WebP of at most ``size`` × ``size`` pixels, upright, without the original's metadata.

    Raises PreviewError.
    """
    try:
        with _decoding, Image.open(source, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PreviewError(f"{image.width} × {image.height} pixels are too many")
            # JPEG decodes straight to a fraction of its size, in a third of the time.
            image.draft("RGB", (2 * size, 2 * size))
            # First small, then upright: turning makes a copy.
            image.thumbnail((size, size))
            upright = ImageOps.exif_transpose(image)
            has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
            out = io.BytesIO()
            upright.convert("RGBA" if has_alpha else "RGB").save(out, "WEBP", quality=_QUALITY, method=2)
            return out.getvalue()
    except PreviewError:
        raise
    # Whatever: broken files make Pillow fail in ways that it does not list (TypeError, struct.error).
    except Exception as error:
        raise PreviewError(f"not a readable picture: {type(error).__name__}") from error
