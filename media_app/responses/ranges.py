"""Byte ranges of RFC 9110 §14, as pure rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

# ASCII digits only: int() would accept "+0", "1_0" and Arabic digits too. No file has a size of
# more than 18 digits, and int() refuses very long numbers.
_SINGLE = re.compile(
    r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.ASCII | re.IGNORECASE
)
_MAX_DIGITS = 18
_BEYOND_ANY_FILE = int("1" + "0" * _MAX_DIGITS)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from ``start`` up to but without ``stop``; never empty."""

    start: int
    stop: int

    def content_range(self, total: int) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{total}"


class UnsatisfiableError(ValueError):
    """The range lies outside the file: 416."""


def parse_range(header: str | None, total: int) -> ByteRange | None:
    """The one range that a Range header asks of ``total`` bytes; None: serve it whole.

    Other units, malformed and reversed ranges are ignored, and so is a list of ranges
    (RFC 9110 §14.2 leaves both to the server). Raises UnsatisfiableError.
    """
    match = _SINGLE.fullmatch(header or "")
    if match is None:
        return None
    first, last, suffix = (_number(digits) for digits in match.groups())
    if suffix is not None:
        if suffix == 0:
            raise UnsatisfiableError("a suffix of no bytes")
        if total == 0:
            return None
        return ByteRange(max(total - suffix, 0), total)
    if first is None or _is_reversed(match[1], match[2]):
        return None
    if first >= total:
        raise UnsatisfiableError("it begins after the end")
    if last is None:
        return ByteRange(first, total)
    return ByteRange(first, min(last + 1, total))


def _number(digits: str | None) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    if len(digits) > _MAX_DIGITS:
        return _BEYOND_ANY_FILE
    return int(digits)


def _is_reversed(first: str, last: str) -> bool:
    """Whether ``last`` is a smaller number than ``first``, however many digits both have."""
    return bool(last) and _in_order(last) < _in_order(first)


def _in_order(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return len(significant), significant
