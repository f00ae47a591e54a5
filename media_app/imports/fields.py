"""The fields of a line as a file: which of them is the data, the owner, the time, and so on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from mimetypes import MimeTypes
from typing import BinaryIO

from media_app import filetypes
from media_app.details import clean, flat
from media_app.identity import owner_of
from media_app.imports.encoded import decoded
from media_app.imports.items import Assumed, BrokenError, Item
from media_app.imports.times import moment

#: What each use of a field is called where ``Assumed.names`` does not say; the first one that
#: is there counts.
NAMES = {
    "data": ("data", "image", "base64", "image_base64", "image_data", "b64_json"),
    "url": ("url", "image_url", "file_url"),
    "owner": ("owner", "phone", "phone_number", "sender", "from", "wa_id"),
    "time": ("timestamp", "time", "created_at", "occurred_at", "sent_at", "date"),
    "filename": ("filename", "file_name", "name"),
    "type": ("content_type", "mime_type", "mimetype", "type"),
    "id": ("id", "uuid", "image_id", "message_id"),
}
#: Fields whose own fields are details.
_NESTED = ("details", "metadata")
_SEPARATORS = re.compile(r"[\s().\u00a0/-]+")
_WEB = re.compile(r"https?://", re.IGNORECASE)
# Python's own table, without the machine's.
_ENDINGS = MimeTypes()


def item_of(number: int, fields: Mapping[str, object], assumed: Assumed) -> Item:
    """The file of a line. Raises BrokenError."""
    uses = uses_of(fields, assumed.names)
    found = {use: _text(fields[name]) for use, name in uses.items()}
    filename = re.split(r"[/\\]", found.get("filename", ""))[-1]
    time, time_assumed = _time(found.get("time", ""), assumed)
    data, url = found.get("data", ""), found.get("url", "")
    if _WEB.match(data):
        data, url = "", data
    owner = owner_from(found.get("owner", ""), assumed)
    kept = {uses[use] for use in uses if use != "id"}
    details = details_of(fields, leave_out=kept)
    body, content_type = None, filetypes.base_type(found.get("type", ""))
    if data:
        body, stated = decoded(data, assumed.max_bytes)
        content_type = checked_type(body, stated or content_type, filename)
        details |= flat({"url": url})
        url = ""
    elif not url:
        raise BrokenError("there is no data")
    return Item(
        number=number,
        body=body,
        url=url.strip(),
        owner=owner,
        occurred_at=time,
        time_assumed=time_assumed,
        own_id=found.get("id"),
        filename=clean(filename, 255),
        content_type=content_type,
        details=details,
    )


def uses_of(fields: Mapping[str, object], names: Mapping[str, str]) -> dict[str, str]:
    """For each use the name of its field, where there is one that is not empty."""
    by_name = {
        name.strip().lower(): name
        for name, value in fields.items()
        if name.strip() and value not in (None, "")
    }
    found = {}
    for use, usual in NAMES.items():
        candidates: tuple[str, ...] = usual
        if use in names:
            candidates = (names[use].lower(),)
        for candidate in candidates:
            if candidate in by_name:
                found[use] = by_name[candidate]
                break
    if "type" in found and not filetypes.base_type(_text(fields[found["type"]])):
        # Some other kind of type: a detail.
        del found["type"]
    return found


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def _time(text: str, assumed: Assumed) -> tuple[datetime, bool]:
    if not text:
        return assumed.occurred_at, True
    return moment(text), False


def owner_from(text: str, assumed: Assumed) -> str:
    """The owner that the text names, or else the assumed one. Raises BrokenError.

    A number may be written with spaces and signs between its digits.
    """
    if not text:
        if not assumed.owner:
            raise BrokenError("it names no owner, and --owner is not given")
        return assumed.owner
    owner = owner_of(text) or owner_of(_SEPARATORS.sub("", text))
    if owner is None:
        raise BrokenError(f"{text[:40]!r} is not a number like +14335551212")
    return owner


def details_of(
    fields: Mapping[str, object], leave_out: Collection[str]
) -> dict[str, str]:
    """The other fields, as texts; the fields of a field ``metadata`` are like those beside it."""
    details: dict[str, object] = {}
    for name, value in fields.items():
        if name.lower() in _NESTED and isinstance(value, dict):
            details |= value
        elif name not in leave_out:
            details[name] = value
    return flat(details)


def checked_type(body: BinaryIO, stated: str, filename: str) -> str:
    """The type that is stated of these bytes, or that the name's ending says.

    Raises BrokenError, and closes the body, where the bytes are not of it although such bytes can
    be told, and where nothing says what they are.
    """
    sniffed = filetypes.sniff(body.read(filetypes.HEAD))
    body.seek(0)
    if not stated:
        guessed, _ = _ENDINGS.guess_type(filename.lower())
        stated = filetypes.base_type(guessed or "")
    reason = ""
    if not sniffed and not stated:
        reason = "the bytes are of no known type, and none is stated"
    elif not sniffed and stated in filetypes.INLINE:
        reason = f"it is said to be {stated}, and its bytes are not"
    if reason:
        body.close()
        raise BrokenError(reason)
    return stated
