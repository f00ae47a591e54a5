"""Times as other systems write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.utils.timezone import is_naive, make_aware

from media_app.identity import MILLISECONDS_FROM
from media_app.imports.items import BrokenError

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]+)?", re.ASCII)
# As cameras and file names have it: 2024:05:19 12:13:14, 20240519_121314, 2024-05-19 at 12.13.14
_WRITTEN = re.compile(
    r"(?P<year>[12][0-9]{3})[-:._]?(?P<month>[01][0-9])[-:._]?(?P<day>[0-3][0-9])"
    r"(?:(?:[T_ -]|\ at\ )?(?P<hour>[0-2][0-9])[-:.]?(?P<minute>[0-5][0-9])"
    r"[-:.]?(?P<second>[0-5][0-9]))?",
    re.ASCII,
)
# 14 digits are a date with its time; fewer are seconds, and 13 are milliseconds.
_COMPACT = (8, 14)


def moment(text: str) -> datetime:
    """The aware time that the text says; without a zone it is of the setting TIME_ZONE.

    Seconds or milliseconds since 1970, ISO 8601, or as cameras and file names have it. Raises
    BrokenError.
    """
    text = text.strip()
    try:
        if _NUMBER.fullmatch(text) and len(text) not in _COMPACT:
            return _since_1970(float(text))
        return _aware(_parsed(text))
    except (ValueError, OverflowError) as error:
        raise BrokenError(f"{text[:40]!r} is not a time") from error


def _since_1970(seconds: float) -> datetime:
    if seconds >= MILLISECONDS_FROM:
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC)


def _parsed(text: str) -> datetime:
    if match := _WRITTEN.fullmatch(text):
        year, month, day, *time = (int(part or 0) for part in match.groups())
        hour, minute, second = time
        return datetime(year, month, day, hour, minute, second)
    return datetime.fromisoformat(text)


def _aware(time: datetime) -> datetime:
    if is_naive(time):
        return make_aware(time)
    return time
