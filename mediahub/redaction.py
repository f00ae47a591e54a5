"""Removes what no log may hold: query strings, tokens, passwords and full phone numbers.

Nothing should log them in the first place; this is for what libraries and exceptions say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from media_app.identity import SCHEMES

REMOVED = "[removed]"

# Bounded: strangers choose what is in a path, and must not make this take seconds. What follows a
# name like one of these is a secret, in `name=value`, `'name': 'value'` and `name: value`.
_SENSITIVE = (
    r"[\w.-]{0,40}(?:token|secret|passw(?:or)?d|signature|credential|api[_-]?key|access[_-]?key"
    r"|authorization|cookie|sessionid)[\w.-]{0,40}"
)
_NAMED_SECRET = re.compile(
    rf"""(?P<name>\b{_SENSITIVE}\\?['"]?\s*(?:=|:\s|:(?=[\\'"\[]))\s*\[?\s*(?:b?\\?['"])?)"""
    r"""(?P<scheme>(?:Bearer|Basic|Token)\s+)?[^\s\\'"&,;\])}]+""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
# The user and password of an address.
_LOGIN = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/?#'\"]*@")
# A query as it stands in an address or a path: up to a space, a quote or the end.
_QUERY = re.compile(r"(?<=[\w/.)\]%:~-])\?[^\s'\"<>]+")
# A message id of Meta's is base64 of the customer's number, among others.
_MESSAGE_ID = re.compile(
    r"\bwamid\.[A-Za-z0-9+/=_%-]*?(?P<end>[A-Za-z0-9]{0,6}=*)(?![A-Za-z0-9+/=_%-])"
)
# An owner (`whatsapp:+14335551212`), also as it is written in an address, which may be quoted
# twice.
_OWNER = re.compile(
    rf"(?P<channel>(?:{'|'.join(SCHEMES)})(?::|%(?:25)*3A))"
    r"(?:\+|%(?:25)*2B)?\d+?(?P<end>\d{4})(?!\d)",
    re.I,
)
# A number with its plus, in groups or not.
_PLUS_NUMBER = re.compile(
    r"(?:\+|%(?:25)*2B)\d(?:[ ().-]{0,2}\d){2,13}(?P<end>(?:[ ().-]{0,2}\d){4})(?!\d)",
    re.I,
)
# A number without its plus, as Meta writes it; not a part of a name or of a decimal.
_BARE_NUMBER = re.compile(
    r"(?:(?<![\w.+-])|(?<=%[0-9A-F]{2}))\d{6,11}(?P<end>\d{4})(?!\w)", re.I
)
# In quotes it may be shorter.
_QUOTED_NUMBER = re.compile(r"(?<=['\"])\d{3,11}(?P<end>\d{4})(?=\\?['\"])")


def redact(text: str) -> str:
    """The text without queries, tokens and passwords; of a phone number the last four digits are
    left.
    """
    text = _LOGIN.sub(rf"\g<scheme>{REMOVED}@", text)
    text = _QUERY.sub(f"?{REMOVED}", text)
    text = _NAMED_SECRET.sub(rf"\g<name>\g<scheme>{REMOVED}", text)
    text = _BEARER.sub(rf"\1 {REMOVED}", text)
    text = _MESSAGE_ID.sub(r"wamid.…\g<end>", text)
    text = _OWNER.sub(r"\g<channel>…\g<end>", text)
    text = _PLUS_NUMBER.sub(r"…\g<end>", text)
    text = _BARE_NUMBER.sub(r"…\g<end>", text)
    return _QUOTED_NUMBER.sub(r"…\g<end>", text)


def redacted(value: Any, name: str = "") -> Any:
    """The same for a value of any type; numbers, booleans and None stay. Objects become text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if name and re.fullmatch(_SENSITIVE, name, re.IGNORECASE):
        return REMOVED
    if isinstance(value, Mapping):
        return {
            redact(str(key)): redacted(each, str(key)) for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each) for each in value]
    return redact(str(value))
