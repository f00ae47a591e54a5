"""What staff must know now, in plain words, with what to do about it: pure, from a status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model

from media_app.admin import pauses
from media_app.admin.badges import Tone
from media_app.admin.machine_owned import change_url, list_url
from media_app.admin.times import in_words
from media_app.models import AccountPause, Media
from mediahub.status import GIVEN_UP, LATELY, RESCUABLE, UNSENT, Notices, Status
from messages_app.models import (
    Delivery,
    DeliveryNotice,
    OutboxItem,
    QuarantinedItem,
    SessionRebuild,
    WebhookRefusal,
)
from messages_app.outbox import HAND_OVER_FOR

# Work that waits longer than this has nobody who does it.
LATE = timedelta(minutes=5)
# When slow fetches hold all workers, that is known before the first of them is cut, after five
# minutes.
LATE_BEHIND_OTHERS = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    url: str
    #: Whose view permission it takes.
    model: type[Model]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    tone: Tone
    #: What is the matter, in a sentence.
    headline: str
    #: What follows from it and what to do.
    advice: str
    links: tuple[Link, ...] = ()
    #: Whether it is wrong at this moment, and shown on every page.
    is_now: bool = True


UNKNOWN = Alert(
    tone="bad",
    headline="How the hub fares could not be found out.",
    advice="The log of the web server says why.",
)


def alerts(status: Status | None) -> list[Alert]:
    """The gravest first; empty when all is well."""
    if status is None:
        return [UNKNOWN]
    found = [
        *(_paused(status, pause) for pause in status.pauses),
        _queue_down(status),
        *(_refused(status, refusal) for refusal in status.refusals),
        _nobody_fetches(status),
        _nobody_reads(status),
        _copies_not_removed(status),
        _hand_overs_failing(status),
        _rebuilds_failing(status),
        _running_out(status),
        _missing(status),
        _given_up(status),
        _copies_not_made(status),
        _unsent(status),
        _quarantined(status),
        _media_ignored(status),
        _account_errors(status),
        _ignored(status),
    ]
    # Stable: what is wrong now stands before what can wait, the rest in the order above.
    return sorted(
        (alert for alert in found if alert), key=lambda alert: not alert.is_now
    )


def _paused(status: Status, pause: AccountPause) -> Alert:
    return Alert(
        tone=pauses.TONES.get(pause.cause, "bad"),
        headline=pauses.headline(pause),
        advice=f"{pause.reason} {pauses.advice(pause, status.waiting_for(pause))}",
        links=(
            Link("The paused account", change_url(pause), AccountPause),
            Link("Its files", pauses.files_url(pause), Media),
        ),
    )


def _queue_down(status: Status) -> Alert | None:
    if not status.queue_error:
        return None
    since = status.waiting_since
    waited = (
        f"The oldest work has waited {in_words(status.at - since)}. " if since else ""
    )
    return Alert(
        tone="bad",
        headline="The queue (Redis) takes no jobs.",
        advice=f"{status.queue_error} {waited}Nothing is lost: what comes in is kept, and the "
        "work is done once "
        "the queue works. Start Redis, or set REDIS_URL right and restart the hub's processes.",
    )


def _refused(status: Status, refusal: WebhookRefusal) -> Alert:
    times = _counted(refusal.count, "webhook was", "webhooks were")
    return Alert(
        tone="bad",
        headline=f"{times} refused at /webhooks/{refusal.endpoint.replace('-', '/')}/, "
        f"the last one {in_words(status.at - refusal.last_at)} ago.",
        advice=f"{refusal.reason} What is refused is not kept. The provider sends it again "
        "only for some time.",
    )


def _nobody_fetches(status: Status) -> Alert | None:
    # Without a queue no worker is told: that is said above, with the age.
    limit = LATE_BEHIND_OTHERS if status.in_progress else LATE
    if status.queue_error or not (waited := _late(status, status.due_since, limit)):
        return None
    if status.in_progress:
        headline = (
            f"{_counted(status.due, 'file waits', 'files wait')} for a worker, the "
            f"first for {waited}."
        )
        advice = (
            f"{_counted(status.in_progress, 'other is', 'others are')} being fetched. If that "
            "goes on, the provider "
            "or the bucket is slow, or more came than the workers can fetch: start more of "
            "them (--ingest)."
        )
    else:
        headline = f"A file has waited {waited} for a worker."
        advice = (
            "Look whether the worker and the sweeper run. After a large burst more "
            "workers help."
        )
    return Alert(
        tone="bad",
        headline=headline,
        advice=advice,
        links=(
            Link(
                "Files on their way", list_url(Media, state__exact=Media.WAITING), Media
            ),
        ),
    )


def _nobody_reads(status: Status) -> Alert | None:
    if not (waited := _late(status, status.unread_since)):
        return None
    return Alert(
        tone="bad",
        headline=f"A delivery has waited {waited} to be read.",
        advice="Its messages and files are not to be seen yet. Look whether the worker and "
        "the sweeper run.",
        links=(
            Link(
                "Deliveries not read",
                list_url(Delivery, state__exact=Delivery.State.RECEIVED),
                Delivery,
            ),
        ),
    )


def _rebuilds_failing(status: Status) -> Alert | None:
    if not (count := status.rebuilds_failing):
        return None
    return Alert(
        tone="bad",
        headline=f"The sessions of {_counted(count, 'conversation', 'conversations')} could "
        "not be rebuilt.",
        advice="All messages and files are kept, but photos may be missing in sessions and "
        "hand-overs. "
        "Each is tried again by itself, at least once an hour. The log has the error.",
        links=(Link("These conversations", list_url(SessionRebuild), SessionRebuild),),
    )


def _copies_not_removed(status: Status) -> Alert | None:
    if not status.unremoved:
        return None
    return Alert(
        tone="bad",
        headline=f"{_counted(status.unremoved, 'file is', 'files are')} no longer public, but "
        "the copy is still there.",
        advice=f"{status.public_error}. Whoever knows the address can read it. It is tried "
        "again every five minutes: "
        "see to it that the hub's keys may delete in the public bucket.",
        links=(
            Link(
                "Files with a public copy",
                list_url(Media, public_lease_until__isnull=0),
                Media,
            ),
        ),
    )


def _copies_not_made(status: Status) -> Alert | None:
    if not status.uncopied:
        return None
    return Alert(
        tone="warn",
        headline=f"{_counted(status.uncopied, 'public file', 'public files')} could not be copied.",
        advice=f"{status.public_error}. It is tried again every five minutes: see to it that "
        "R2_PUBLIC_BUCKET "
        "is there, and that the hub's keys may write to it.",
        links=(
            Link("These files", list_url(Media, public_lease_until__isnull=0), Media),
        ),
        is_now=False,
    )


def _running_out(status: Status) -> Alert | None:
    if not status.running_out or status.first_runs_out is None:
        return None
    files = _counted(status.running_out, "file", "files")
    left = in_words(status.first_runs_out - status.at)
    until = status.at + LATELY
    url = list_url(
        Media,
        state__exact=RESCUABLE,
        expires_at__gte=status.first_runs_out.isoformat(),
        expires_at__lte=until.isoformat(),
    )
    return Alert(
        tone="bad",
        headline=f"The provider forgets {files} within 24 hours.",
        advice=f"Time runs out in {left}. Mend what stops them, then press Retry.",
        links=(Link("These files", url, Media),),
        is_now=False,
    )


def _missing(status: Status) -> Alert | None:
    if not (count := status.count(Media.State.MISSING)):
        return None
    return Alert(
        tone="bad",
        headline=f"{_counted(count, 'file was', 'files were')} lost by the bucket.",
        advice="Retry fetches again what the provider still has.",
        links=(
            Link(
                "These files", list_url(Media, state__exact=Media.State.MISSING), Media
            ),
        ),
        is_now=False,
    )


def _given_up(status: Status) -> Alert | None:
    if not status.given_up_lately:
        return None
    return Alert(
        tone="warn",
        headline=f"{_counted(status.given_up_lately, 'file was', 'files were')} given up in "
        "the last 24 hours.",
        advice="The list says why. The sender may send them again.",
        links=(Link("Files given up", list_url(Media, state__exact=GIVEN_UP), Media),),
        is_now=False,
    )


def _hand_overs_failing(status: Status) -> Alert | None:
    if not status.hand_overs_failing:
        return None
    waiting = {
        "state__exact": OutboxItem.State.QUEUED,
        "kind__exact": OutboxItem.Kind.HAND_OVER,
    }
    return Alert(
        tone="bad",
        headline="The business does not take "
        f"{_counted(status.hand_overs_failing, 'summary', 'summaries')}.",
        advice=f"{status.hand_over_error} Each is tried again by itself for "
        f"{HAND_OVER_FOR.days} days. "
        "Look whether SESSION_WEBHOOK_URL is right, and what answers there.",
        links=(
            Link("Hand-overs that wait", list_url(OutboxItem, **waiting), OutboxItem),
        ),
    )


def _unsent(status: Status) -> Alert | None:
    if not status.unsent:
        return None
    return Alert(
        tone="warn",
        headline=f"{_counted(status.unsent, 'reply was', 'replies were')} not sent, or "
        "perhaps not.",
        advice="Each says why, and Send again tries once more. "
        "More than 24 hours after a contact's last message WhatsApp lets nobody answer.",
        links=(
            Link(
                "These replies", list_url(OutboxItem, state__exact=UNSENT), OutboxItem
            ),
        ),
        is_now=False,
    )


def _quarantined(status: Status) -> Alert | None:
    if not status.quarantined:
        return None
    parts = _counted(status.quarantined, "part of a delivery", "parts of deliveries")
    return Alert(
        tone="warn",
        headline=f"{parts} could not be read.",
        advice="All is kept as it came. Replay reads it again, once the reason is mended.",
        links=(Link("The quarantine", list_url(QuarantinedItem), QuarantinedItem),),
        is_now=False,
    )


def _media_ignored(status: Status) -> Alert | None:
    found = [notices for notices in status.notices if notices.has_media]
    if not found:
        return None
    return Alert(
        tone="bad",
        headline=f"Files came where nothing reads them: {_by_name(found)}.",
        advice="They are not fetched, and the provider forgets them. Their deliveries are "
        "kept as they came: "
        "tell the developers, and replay the deliveries once they are read.",
        links=(_notice_link(has_media__exact=1),),
        is_now=False,
    )


def _account_errors(status: Status) -> Alert | None:
    errors = list(
        dict.fromkeys(
            notices.error.rstrip(".") for notices in status.notices if notices.error
        )
    )
    if not errors:
        return None
    return Alert(
        tone="warn",
        headline=f"The provider reports an error of the account: {errors[0]}.",
        advice="; ".join(errors[1:])
        or "Look at the provider's own pages for what to do.",
        links=(_notice_link(name="errors"),),
        is_now=False,
    )


def _ignored(status: Status) -> Alert | None:
    found = [
        notices
        for notices in status.notices
        if not notices.has_media and not notices.error
    ]
    if not found:
        return None
    return Alert(
        tone="warn",
        headline=f"ignored: {_by_name(found)}",
        advice="In the last 24 hours. Nothing reads these parts, and they bring no files. "
        "Their deliveries are kept.",
        links=(_notice_link(),),
        is_now=False,
    )


def _by_name(found: Iterable[Notices]) -> str:
    return ", ".join(f"{notices.name} × {notices.times}" for notices in found)


def _notice_link(**query: Any) -> Link:
    return Link("Their deliveries", list_url(DeliveryNotice, **query), DeliveryNotice)


def _late(status: Status, since: datetime | None, limit: timedelta = LATE) -> str:
    """How long, if longer than ``limit``, else ""."""
    return in_words(status.at - since) if since and status.at - since > limit else ""


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
