"""JSON with malformed values: each of them is read as text, so that the others can be read.

Pure. Accepted: invalid UTF-8, raw control characters, ``NaN``, numbers of thousands of
digits, unknown escapes, bare words. What is nested too deep is cut off. Brackets and quotes must
match.
"""

from __future__ import annotations

import json
import re
from typing import Any

# No message comes near it; Python's own reader stops at about a thousand levels.
DEEPEST = 200
CUT = "…"
# Python refuses to convert more digits than 4,300; no field of ours holds more than 18.
_MOST_DIGITS = 300

_TOKEN = re.compile(
    r"""
      (?P<text> " (?: [^"\\]++ | \\. )*+ " )
    | (?P<open> [\[{] )
    | (?P<close> [\]}] )
    | (?P<comma> , )
    | (?P<bare> [^\x00-\x20"{}\[\],:]++ )
    | (?P<quote> " )
    """,
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NAMED = {"true": True, "false": False, "null": None}


def loads(body: bytes) -> Any:
    """The value that a JSON text stands for. Raises ValueError where brackets or quotes do not
    match.
    """
    text = body.decode(json.detect_encoding(body), errors="replace")
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, strict=False, parse_constant=str)
    except (ValueError, RecursionError):
        return _tree(text)


def _tree(text: str) -> Any:
    """Read token by token, without recursion. Slow (about half a second for a megabyte), so only as
    a second try.
    """
    root = _Open([])
    path = [root]
    too_deep = 0
    for token in _TOKEN.finditer(text):
        kind, found = token.lastgroup, token[0]
        if kind == "quote":
            raise ValueError("a text has no end")
        if too_deep:
            too_deep += (kind == "open") - (kind == "close")
        elif kind == "open" and len(path) > DEEPEST:
            path[-1].put(CUT)
            too_deep = 1
        elif kind == "open":
            child = _Open({} if found == "{" else [])
            path[-1].put(child.value)
            path.append(child)
        elif kind == "close":
            closed = path.pop()
            closed.end_value()
            if not path or isinstance(closed.value, dict) != (found == "}"):
                raise ValueError(f"an unexpected {found} at character {token.start()}")
        elif kind == "comma":
            path[-1].end_value()
        else:
            path[-1].put(_unquoted(found) if kind == "text" else _scalar(found))
    if too_deep or len(path) > 1:
        raise ValueError("the text ends too early")
    if len(root.value) != 1:
        raise ValueError("not one value")
    return root.value[0]


class _Open:
    """An object or list that is being read."""

    __slots__ = ("name", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        #: In an object: the name whose value comes next.
        self.name: str | None = None

    def put(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.name is None:
            self.name = value if isinstance(value, str) else str(value)
        else:
            self.value[self.name] = value
            self.name = None

    def end_value(self) -> None:
        """A name without a value means nothing."""
        if self.name is not None:
            self.value[self.name] = None
            self.name = None


def _unquoted(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted, strict=False))
    except ValueError:
        return quoted[1:-1]


def _scalar(bare: str) -> Any:
    if bare in _NAMED:
        return _NAMED[bare]
    if len(bare) <= _MOST_DIGITS and _INTEGER.fullmatch(bare):
        return int(bare)
    if len(bare) <= _MOST_DIGITS and _NUMBER.fullmatch(bare):
        return float(bare)
    return bare
