"""Sanitize what a provider sends: values that PostgreSQL does not accept are replaced.

Pure functions. PostgreSQL accepts neither NUL nor lone surrogates, in text as in jsonb,
and no infinite number in jsonb (https://www.postgresql.org/docs/current/datatype-json.html).
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from typing import Any

# As long as their columns, or longer than anything that a provider sends.
NAME_LIMIT = 255
KIND_LIMIT = 32
CATEGORY_LIMIT = 64
TEXT_LIMIT = 65_536
TYPE_LIMIT = 200
LINK_LIMIT = 4_000
# PostgreSQL indexes at most 2,700 bytes; a character has up to four.
ID_LIMIT = 500
# Deeper than any message; PostgreSQL and Python both give up on a thousand levels.
DEPTH_LIMIT = 64

_REFUSED = re.compile("[\x00\ud800-\udfff]")
_DIGEST = 64


def sanitize(value: object, limit: int) -> str:
    """The value as text of at most ``limit`` characters that a database accepts.

    NUL and lone surrogates become U+FFFD; numbers are written out; anything else becomes "".
    """
    if isinstance(value, str):
        return _REFUSED.sub("\ufffd", value[:limit])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:limit]
    return ""


def sanitize_id(value: object) -> str:
    """An id that a database accepts and indexes; "" where there is none.

    An id that is too long to index ends in its digest: two different ids stay different.
    """
    text = sanitize(value, sys.maxsize)
    if len(text) <= ID_LIMIT:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: ID_LIMIT - _DIGEST - 1]}~{digest}"


def sanitize_link(value: object) -> str:
    """A link in its full length, or "": a shortened link would lead elsewhere."""
    text = sanitize(value, LINK_LIMIT + 1)
    if len(text) <= LINK_LIMIT:
        return text
    return ""


def sanitize_json(value: object, depth: int = DEPTH_LIMIT) -> Any:
    """A JSON value that a database accepts: all its strings and numbers sanitized, ``depth`` levels
    of it.
    """
    if isinstance(value, str):
        return _REFUSED.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict | list) and depth == 0:
        return "…"
    if isinstance(value, dict):
        return {
            _REFUSED.sub("\ufffd", name): sanitize_json(part, depth - 1)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [sanitize_json(part, depth - 1) for part in value]
    return value


def cut(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters, as a provider's server counts them; "…" stands for
    what was cut.

    It ends at a space if the latter half has one: no word, link or emoji is broken. An
    emoji counts as the two that some servers see in it.

    >>> cut("one two three", 9)
    'one two…'
    """
    whole = sanitize(text, sys.maxsize)
    if _length(whole) <= limit:
        return whole
    head = whole[: limit - 1]
    while _length(head) >= limit:
        head = head[:-1]
    space = max(head.rfind(" "), head.rfind("\n"))
    # At the very edge of a word, the whole of it fits.
    if not whole[len(head)].isspace() and space > len(head) // 2:
        head = head[:space]
    return f"{head.rstrip()}…"


def _length(text: str) -> int:
    """In units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def place(name: str, address: str, latitude: str, longitude: str) -> str:
    """A location in one line.

    >>> place("Harbour Hall", "1 Quay St", "52.37", "4.89")
    'Harbour Hall, 1 Quay St (52.37, 4.89)'
    >>> place("", "", "52.37", "4.89")
    '52.37, 4.89'
    """
    words = ", ".join(part for part in (name, address) if part)
    point = ", ".join(part for part in (latitude, longitude) if part)
    if words and point:
        return f"{words} ({point})"
    return words or point
