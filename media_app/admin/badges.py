"""States in words and colours, and spans of time in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

from media_app.models import Media

Tone = Literal["good", "busy", "warn", "bad", "quiet"]

MEDIA_TONES: dict[str, Tone] = {
    Media.State.PENDING: "busy",
    Media.State.FETCHING: "busy",
    Media.State.STORED: "good",
    Media.State.RETRYING: "warn",
    Media.State.EXPIRED: "bad",
    Media.State.REJECTED: "bad",
    Media.State.MISSING: "bad",
    Media.State.DELETED: "quiet",
}
# Where the provider itself says that the file is gone, its seven days are of no use any more.
_CLOCK_STOPPED = (Media.State.STORED, Media.State.EXPIRED, Media.State.DELETED)


def badge(text: str, tone: Tone) -> str:
    return format_html('<span class="badge badge-{}">{}</span>', tone, text)


def media_badge(media: Media) -> str:
    return badge(media.get_state_display(), MEDIA_TONES.get(media.state, "quiet"))


@dataclass(frozen=True, slots=True)
class RescueClock:
    """How long the provider still has a file that we don't."""

    text: str
    tone: Tone


def rescue_clock(media: Media, now: datetime) -> RescueClock | None:
    """The clock of a file that can still be rescued, or None."""
    left = media.expires_in(now)
    if left is None or media.state in _CLOCK_STOPPED:
        return None
    if left <= timedelta(0):
        return RescueClock(f"time ran out {in_words(-left)} ago", "bad")
    if left < timedelta(days=1):
        return RescueClock(f"{in_words(left)} left", "bad")
    return RescueClock(f"{in_words(left)} left", "warn" if left < timedelta(days=3) else "quiet")


def in_words(span: timedelta) -> str:
    """The two largest units, cut off: ``6 d 3 h``, ``3 h 20 min``, ``5 min``."""
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min"


def noted_time(sent: datetime, *, assumed: bool) -> str:
    """A provider's time, and whether it is really one."""
    text = date_format(timezone.localtime(sent), "DATETIME_FORMAT")
    return f"{text} (time of receipt: the provider's was missing or unbelievable)" if assumed else text
