"""What staff must know now, in plain words, with what to do about it: pure, from a status."""

from __future__ import annotations

from media_app.admin.times import in_words
from mediahub.alerts import files, messages
from mediahub.alerts.alert import Alert
from mediahub.status import Status

__all__ = ["Alert", "alerts"]

UNKNOWN = Alert(
    tone="bad",
    headline="The status could not be read.",
    advice="The log of the web server says why.",
)


def alerts(status: Status | None) -> list[Alert]:
    """The most urgent first; empty when nothing is wrong."""
    if status is None:
        return [UNKNOWN]
    found = [
        *(files.paused(status, pause) for pause in status.pauses),
        _queue_down(status),
        *(messages.refused(status, refusal) for refusal in status.refusals),
        files.nobody_fetches(status),
        messages.nobody_reads(status),
        files.copies_not_removed(status),
        messages.hand_overs_failing(status),
        messages.rebuilds_failing(status),
        messages.erasure_key_lost(status),
        messages.erasures_waiting(status),
        files.running_out(status),
        files.missing(status),
        files.given_up(status),
        files.copies_not_made(status),
        messages.unsent(status),
        messages.quarantined(status),
        messages.media_ignored(status),
        messages.account_errors(status),
        messages.ignored(status),
    ]
    present = [alert for alert in found if alert]
    # Stable: what is wrong now comes before what can wait, the rest in the order above.
    return sorted(present, key=lambda alert: not alert.is_now)


def _queue_down(status: Status) -> Alert | None:
    if not status.queue_error:
        return None
    waited = ""
    if since := status.waiting_since:
        waited = f"The oldest work has waited {in_words(status.at - since)}. "
    return Alert(
        tone="bad",
        headline="The queue (Redis) takes no jobs.",
        advice=f"{status.queue_error} {waited}Nothing is lost: what comes in is kept, and the "
        "work is done once the queue works. Start Redis, or correct REDIS_URL and restart the "
        "hub's processes.",
    )
