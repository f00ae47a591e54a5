"""What a message contains beside its text, as labelled lines for staff. Pure functions, which
never raise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from messages_app.providers.text import sanitize, sanitize_json

# A message may hold 3 MB of values; its raw form is on its page as well.
MAX_LINES = 200
MAX_TEXT = 2_000

# How Meta's Flow builder names a field: screen_0_First_name_0.
_FLOW_FIELD = re.compile(r"screen_\d+_(?P<name>.+?)(_\d+)?")
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,4})?")


class Line(NamedTuple):
    label: str
    text: str


def limited(lines: Iterator[Line]) -> list[Line]:
    """The first lines that are not empty; a last one says how many were left out."""
    shown = [Line(line.label, _shortened(line.text)) for line in lines if line.text]
    left_out = len(shown) - MAX_LINES
    if left_out <= 0:
        return shown
    more = Line(
        "More", f"{left_out} more lines are in the message as the provider sent it"
    )
    return [*shown[:MAX_LINES], more]


def line(label: str, value: object) -> Line:
    """One line of a plain value; empty for any other value."""
    return Line(label, words(value))


def words(value: object) -> str:
    """A plain value, or a list of plain values, as text; "" for any other value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(part for part in map(words, value) if part)
    return sanitize(value, MAX_TEXT + 1)


def other_lines(
    value: object, label: str = "", known: Collection[str] = ()
) -> Iterator[Line]:
    """A line for each plain value within, labelled by its path. ``known`` names what is left out at
    the top.
    """
    if isinstance(value, Mapping) and (amount := _amount(value)):
        yield Line(label, amount)
    elif isinstance(value, Mapping):
        for name, part in value.items():
            if name in known:
                continue
            path = _path(label, label_of(name))
            if name.endswith("timestamp") and (at := moment(part)):
                yield Line(path, at)
            else:
                yield from other_lines(part, path)
    elif isinstance(value, list) and any(
        isinstance(part, dict | list) for part in value
    ):
        for number, part in enumerate(value, 1):
            yield from other_lines(part, f"{label} {number}".strip())
    else:
        yield Line(label, words(value))


def answers(text: object) -> Iterator[Line]:
    """The answers that a form sent, as JSON in a string. The token only names the form to its
    maker.
    """
    given = text
    if isinstance(text, str):
        try:
            given = sanitize_json(json.loads(text))
        except (ValueError, RecursionError):
            yield line("Answers", text)
            return
    label = "Answers"
    if isinstance(given, Mapping):
        label = ""
    yield from other_lines(given, label, known=("flow_token",))


def label_of(name: str) -> str:
    """A field's name as people write it.

    >>> label_of("item_price"), label_of("SomeNewField"), label_of("screen_0_First_name_0")
    ('Item price', 'Some new field', 'First name')
    """
    match = _FLOW_FIELD.fullmatch(name)
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", match["name"] if match else name)
    text = " ".join(spaced.replace("_", " ").replace("-", " ").split()).lower()
    return _shortened(text[:1].upper() + text[1:])


def moment(seconds: object) -> str:
    """A Unix time: ``2026-11-20 11:59 UTC``; "" for an invalid one."""
    text = sanitize(seconds, 20)
    if not re.fullmatch(r"\d{1,11}", text):
        return ""
    return datetime.fromtimestamp(int(text), UTC).strftime("%Y-%m-%d %H:%M UTC")


def decimal(value: object) -> Decimal | None:
    """A number that fits a price tag, else None."""
    text = sanitize(value, 20)
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    return None


def _amount(value: Mapping[str, Any]) -> str:
    """Money as Meta writes it: ``{"value": 12550, "offset": 100}`` is 125.50."""
    if not {"value", "offset"} <= value.keys():
        return ""
    parts, offset = decimal(value["value"]), decimal(value["offset"])
    if parts is not None and offset:
        return f"{parts / offset:.2f}"
    return ""


def _path(label: str, name: str) -> str:
    if label:
        return f"{label} › {name}"
    return name


def _shortened(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}…"
