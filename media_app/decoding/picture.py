"""Small pictures of pictures. Runs in the decoder's child process only."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageOps, WebPImagePlugin

from media_app.decoding.scans import count_scans

# Registered by its import: else Pillow imports all its formats to find this one.
_FORMATS = ("JPEG", "PNG", WebPImagePlugin.WebPImageFile.format)
_START_OF_JPEG = b"\xff\xd8"
# A header of 66 bytes can claim any size; decoding is refused before memory is taken.
MAX_PIXELS = 50_000_000
# Each scan goes over all pixels again, however few bytes it has. Cameras and editors write 10,
# optimisers up to 20.
MAX_SCANS = 64
_QUALITY = 75


class PictureError(Exception):
    """No small picture can be made of this file; the text says why."""


def small_pictures(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    """A WebP of at most ``size`` × ``size`` pixels for each size, upright, without the original's
    metadata.

    Of what moves, the first frame. Raises PictureError.
    """
    try:
        return _small_pictures(body, sizes)
    except PictureError:
        raise
    except MemoryError:
        raise PictureError("it takes too much memory to decode") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError("it has too many pixels") from None
    # Whatever: broken files make Pillow fail in ways that it does not list (TypeError,
    # struct.error).
    except Exception as error:
        raise PictureError(f"not a readable picture: {type(error).__name__}") from error


def _small_pictures(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    if (
        body.startswith(_START_OF_JPEG)
        and count_scans(body, stop_after=MAX_SCANS) > MAX_SCANS
    ):
        raise PictureError(f"it has more than {MAX_SCANS} scans")
    largest = max(sizes)
    with Image.open(io.BytesIO(body), formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise PictureError(f"{image.width} × {image.height} pixels are too many")
        # JPEG decodes straight to a fraction of its size, in a third of the time.
        image.draft("RGB", (2 * largest, 2 * largest))
        # First small, then upright: turning makes a copy.
        image.thumbnail((largest, largest))
        upright = ImageOps.exif_transpose(image)
    has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
    picture = upright.convert("RGBA" if has_alpha else "RGB")
    return [_webp(picture, size) for size in sizes]


def _webp(picture: Image.Image, size: int) -> bytes:
    small = picture.copy()
    small.thumbnail((size, size))
    # Pillow would write what it has read of these.
    small.info.clear()
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()
