"""How many scans a JPEG has, told from its markers (ITU-T T.81, annex B) without decoding it."""

from __future__ import annotations

import re

_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
# RST0 to RST7, SOI and TEM have no length after them.
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
# The next marker. Within a scan FF00 is a byte of data, and FFD0 to FFD7 are restarts of the same
# scan.
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")


def count_scans(body: bytes, *, stop_after: int) -> int:
    """The scans of the first picture in ``body``; counting ends with the first above
    ``stop_after``.

    Pictures within others (an EXIF thumbnail) and behind the end do not count.
    """
    scans, at = 0, 2
    while scans <= stop_after and (marker := _MARKER.search(body, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind == _END_OF_IMAGE:
            break
        scans += kind == _START_OF_SCAN
        if kind not in _WITHOUT_LENGTH:
            at += int.from_bytes(body[at : at + 2], "big")
    return scans
