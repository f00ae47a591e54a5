"""States and rescue clocks as coloured badges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.utils.html import format_html

from media_app.admin.times import in_words
from media_app.models import FetchAttempt, Media

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
# Where the provider has said that the file is gone, the time that is left means nothing.
_CLOCK_STOPPED = (Media.State.STORED, Media.State.EXPIRED, Media.State.DELETED)


def badge(text: str, tone: Tone) -> str:
    return format_html('<span class="badge badge-{}">{}</span>', tone, text)


def media_badge(media: Media) -> str:
    return badge(media.get_state_display(), MEDIA_TONES.get(media.state, "quiet"))


def outcome_badge(attempt: FetchAttempt) -> str:
    tone: Tone = "warn"
    if attempt.outcome == FetchAttempt.Outcome.STORED:
        tone = "good"
    return badge(attempt.get_outcome_display(), tone)


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
    tone: Tone = "quiet"
    if left < timedelta(days=3):
        tone = "warn"
    return RescueClock(f"{in_words(left)} left", tone)
