"""Byte ranges of RFC 9110 §14, as a client asks for them and reads the answer: pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from media_app.storage.base import StorageError

# §14.4, with the whole size known.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


def range_header(start: int, stop: int | None) -> str:
    """The Range to ask for; "" for the whole object."""
    if stop is None:
        if start == 0:
            return ""
        return f"bytes={start}-"
    # A Range is never empty: for no bytes ask for one, and leave it.
    return f"bytes={start}-{max(stop, start + 1) - 1}"


def answered_extent(
    headers: Mapping[str, str], start: int, stop: int | None
) -> tuple[int, int]:
    """Where the answered part stops, and the whole size.

    The status says nothing: rclone answers a range with 200. Raises StorageError when the
    body is not the part that was asked for.
    """
    if content_range := headers.get("Content-Range"):
        first, last, total = _parse(content_range)
        stop = _cut(stop, total)
        if first != start or last + 1 < stop:
            raise StorageError(
                f"the bucket answered another range than asked: {content_range!r}"
            )
        return stop, total
    if start:
        raise StorageError("the bucket answered the whole object to a range")
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()):
        raise StorageError("the bucket did not say how large the object is")
    total = int(length)
    return _cut(stop, total), total


def _parse(content_range: str) -> tuple[int, int, int]:
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None:
        raise StorageError(
            f"the bucket answered a range that cannot be read: {content_range!r}"
        )
    first, last, total = match.groups()
    return int(first), int(last), int(total)


def _cut(stop: int | None, total: int) -> int:
    if stop is None:
        return total
    return min(stop, total)
