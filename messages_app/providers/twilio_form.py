"""The forms that Twilio posts: their fields, byte for byte and as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from messages_app.providers.text import sanitize

# Twilio sends some forty fields. Splitting millions of them would cost a gigabyte before the
# signature is known.
MAX_FIELDS = 1_000
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")

Form = Mapping[str, Sequence[str]]


def first_in_query(query: str, name: str) -> str:
    """The first value of this name in a query, or ""."""
    return parse_qs(query).get(name, [""])[0]


def form_fields(body: bytes) -> list[tuple[bytes, bytes]] | None:
    """The fields of a form byte for byte, empty ones too; None where they are too many for one of
    Twilio's.
    """
    parts = body.split(b"&", MAX_FIELDS)
    if len(parts) > MAX_FIELDS:
        return None
    pairs = [part.partition(b"=") for part in parts if part]
    return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]


def _unquoted(text: bytes) -> bytes:
    """Decode a name or value as ``unquote_to_bytes`` does.

    That one, like all that joins a list, takes up to 190 times the text's size.
    """
    text = text.replace(b"+", b" ")
    decoded, end = bytearray(), 0
    for escaped in _ESCAPED.finditer(text):
        decoded += text[end : escaped.start()]
        decoded.append(int(escaped[1], 16))
        end = escaped.end()
    return bytes(decoded + text[end:])


def text_of(value: bytes) -> str:
    return sanitize(value.decode(errors="replace"), len(value))


def first_of(form: Form, *names: str) -> str:
    """The first of these fields that has a value; "" where none has."""
    return next((form[name][0] for name in names if form.get(name, [""])[0]), "")


def raw_form(form: Form) -> dict[str, Any]:
    return {
        name: values[0] if len(values) == 1 else list(values)
        for name, values in form.items()
    }
