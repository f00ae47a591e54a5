"""When a camera took a picture."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

from PIL import ExifTags, Image

from media_app.imports.items import BrokenError
from media_app.imports.times import moment

_JPEG = b"\xff\xd8\xff"


def taken_at(body: BinaryIO) -> datetime | None:
    """The time in the EXIF data of a JPEG, or None. ``body`` is at its start, before and after.

    Only the header is read: no pixel is decoded.
    """
    try:
        if body.read(len(_JPEG)) != _JPEG:
            return None
        body.seek(0)
        return _time(Image.open(body, formats=("JPEG",)).getexif())
    except Exception:
        # Whatever a damaged file makes of Pillow: its time is not known.
        return None
    finally:
        body.seek(0)


def _time(exif: Image.Exif) -> datetime | None:
    detailed = exif.get_ifd(ExifTags.IFD.Exif)
    original = detailed.get(ExifTags.Base.DateTimeOriginal)
    zone = detailed.get(ExifTags.Base.OffsetTimeOriginal)
    text = original or exif.get(ExifTags.Base.DateTime)
    if not isinstance(text, str):
        return None
    text = text.strip("\0 ")
    day, _, time = text.partition(" ")
    if original and isinstance(zone, str):
        text = f"{day.replace(':', '-')}T{time}{zone.strip()}"
    try:
        return moment(text)
    except BrokenError:
        return None
