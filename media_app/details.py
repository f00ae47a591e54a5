"""Free details of a file: short texts by name, kept with its row and with its object.

Pure functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

MAX_DETAILS = 100
NAME_LIMIT = 64
VALUE_LIMIT = 10_000
#: The detail that names those for which an object had no room.
LEFT_OUT = "(left out)"

_MAX_NAMES = 200
# PostgreSQL has neither NUL nor halves of characters in texts.
_REFUSED = re.compile("[\x00\ud800-\udfff]")


def clean(text: str, limit: int = VALUE_LIMIT) -> str:
    """The text with what a database refuses replaced, in at most ``limit`` characters."""
    return _REFUSED.sub("\ufffd", text[:limit])


def flat(details: Mapping[str, object]) -> dict[str, str]:
    """The details as texts: the first MAX_DETAILS, shortened where they are too long; empty ones
    are left out.

    Raises TypeError where it is no mapping.

    >>> flat({"persona": "Ana", "seed": 7, "tags": ["a", "b"], "note": None})
    {'persona': 'Ana', 'seed': '7', 'tags': '["a", "b"]'}
    """
    if not isinstance(details, Mapping):
        raise TypeError("details are texts by name")
    texts: dict[str, str] = {}
    for name, value in details.items():
        text = clean(_text(value))
        if text and len(texts) < MAX_DETAILS:
            texts[clean(str(name), NAME_LIMIT)] = text
    return texts


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False, default=str)


def longest(details: Mapping[str, str]) -> list[str]:
    """The names, that of the longest detail first."""
    return sorted(details, key=lambda name: (-len(name) - len(details[name]), name))


def without(details: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The details without these, and with LEFT_OUT, which names them or says how many."""
    rest = {name: text for name, text in details.items() if name not in names}
    listed = ", ".join(names)
    if len(listed) > _MAX_NAMES:
        listed = f"{len(names)} details"
    return {**rest, LEFT_OUT: listed}
