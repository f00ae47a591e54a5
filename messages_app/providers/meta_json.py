"""What all readers of Meta's JSON share: its objects, times and errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from media_app.identity import OLDEST_BELIEVED, occurred_at
from messages_app.providers.text import TEXT_LIMIT, TYPE_LIMIT, sanitize

Json = Mapping[str, Any]


class UnreadableError(Exception):
    """A part of a delivery lacks what makes it one; its words are for staff."""


def moment_of(
    timestamp: object,
    received_at: datetime,
    oldest_believed: timedelta = OLDEST_BELIEVED,
) -> tuple[datetime, bool]:
    """When it happened, and whether that had to be assumed."""
    try:
        return occurred_at(
            sanitize(timestamp, TYPE_LIMIT), received_at, oldest_believed
        )
    except (ValueError, OverflowError, OSError):
        # A year that no calendar has.
        return received_at, True


def error_text(errors: object) -> str:
    """Meta's list of errors as text: ``131047: title — details``, joined by ``;``.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
    """
    if not isinstance(errors, list):
        return ""
    return sanitize(
        "; ".join(_error_text(error) for error in errors if isinstance(error, dict)),
        TEXT_LIMIT,
    )


def object_in(parent: Json, name: str) -> Json:
    """The object of this name; an empty one where there is none."""
    value = parent.get(name)
    if isinstance(value, dict):
        return value
    return {}


def objects_in(parent: Json, name: str) -> list[Json]:
    """The objects in the list of this name; none where there is no list."""
    value = parent.get(name)
    if isinstance(value, list):
        return [part for part in value if isinstance(part, dict)]
    return []


def _error_text(error: Json) -> str:
    what = text_in(error, "title") or text_in(error, "message")
    text = joined(" — ", what, text_in(object_in(error, "error_data"), "details"))
    return joined(": ", text_in(error, "code"), text)


def text_in(parent: Json, name: str) -> str:
    return sanitize(parent.get(name), TEXT_LIMIT)


def joined(separator: str, *parts: str) -> str:
    return sanitize(separator.join(part for part in parts if part), TEXT_LIMIT)
