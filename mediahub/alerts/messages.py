"""Alerts about deliveries, messages, sessions and what is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from media_app.admin.machine_owned import list_url
from media_app.admin.times import in_words
from mediahub.alerts.alert import Alert, Link, counted
from mediahub.alerts.overdue import overdue
from mediahub.status import UNSENT, Notices, Status
from messages_app.models import (
    Delivery,
    DeliveryNotice,
    ErasureRequest,
    OutboxItem,
    QuarantinedItem,
    SessionRebuild,
    WebhookRefusal,
)
from messages_app.timing import HAND_OVER_PERIOD


def refused(status: Status, refusal: WebhookRefusal) -> Alert:
    times = counted(refusal.count, "webhook was", "webhooks were")
    return Alert(
        tone="bad",
        headline=f"{times} refused at /webhooks/{refusal.endpoint.replace('-', '/')}/, "
        f"the last one {in_words(status.at - refusal.last_at)} ago.",
        advice=f"{refusal.reason} What is refused is not kept. The provider sends it again "
        "only for some time.",
    )


def nobody_reads(status: Status) -> Alert | None:
    if not (waited := overdue(status, status.unread_since)):
        return None
    return Alert(
        tone="bad",
        headline=f"A delivery has waited {waited} to be read.",
        advice="Its messages and files are not shown yet. Check that the worker and "
        "the sweeper run.",
        links=(
            Link(
                "Deliveries not read",
                list_url(Delivery, state__exact=Delivery.State.RECEIVED),
                Delivery,
            ),
        ),
    )


def rebuilds_failing(status: Status) -> Alert | None:
    if not (count := status.rebuilds_failing):
        return None
    return Alert(
        tone="bad",
        headline=f"The sessions of {counted(count, 'conversation', 'conversations')} could "
        "not be rebuilt.",
        advice="All messages and files are kept, but photos may be missing in sessions and "
        "hand-overs. "
        "Each is tried again by itself, at least once an hour. The log has the error.",
        links=(Link("These conversations", list_url(SessionRebuild), SessionRebuild),),
    )


def erasure_key_lost(status: Status) -> Alert | None:
    if not status.is_erasure_key_lost:
        return None
    return Alert(
        tone="bad",
        headline="ERASURE_KEY is not the one that people were erased with.",
        advice="Messages of theirs that come again are not known, and are kept. Put the key "
        "back, and restart the hub's processes.",
        links=(Link("The erasures", list_url(ErasureRequest), ErasureRequest),),
    )


def erasures_waiting(status: Status) -> Alert | None:
    if not status.erasures_waiting:
        return None
    first = status.erasures_waiting[0]
    waiting = counted(len(status.erasures_waiting), "erasure waits", "erasures wait")
    is_overdue = first.due_at < status.at
    due = f"The first one is due in {in_words(first.due_at - status.at)}."
    if is_overdue:
        due = f"The first one is overdue for {in_words(status.at - first.due_at)}."
    return Alert(
        tone="bad" if is_overdue else "warn",
        headline=f"{waiting}. {due}",
        advice=f"{first.reason} The sweeper goes on by itself when that is over.",
        links=(Link("These erasures", list_url(ErasureRequest), ErasureRequest),),
    )


def hand_overs_failing(status: Status) -> Alert | None:
    if not status.hand_overs_failing:
        return None
    waiting = {
        "state__exact": OutboxItem.State.QUEUED,
        "kind__exact": OutboxItem.Kind.HAND_OVER,
    }
    return Alert(
        tone="bad",
        headline="The business does not take "
        f"{counted(status.hand_overs_failing, 'summary', 'summaries')}.",
        advice=f"{status.hand_over_error} Each is tried again by itself for "
        f"{HAND_OVER_PERIOD.days} days. "
        "Check SESSION_WEBHOOK_URL, and what answers there.",
        links=(
            Link("Hand-overs that wait", list_url(OutboxItem, **waiting), OutboxItem),
        ),
    )


def unsent(status: Status) -> Alert | None:
    if not status.unsent:
        return None
    return Alert(
        tone="warn",
        headline=f"{counted(status.unsent, 'reply was', 'replies were')} not sent, or "
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


def quarantined(status: Status) -> Alert | None:
    if not status.quarantined:
        return None
    parts = counted(status.quarantined, "part of a delivery", "parts of deliveries")
    return Alert(
        tone="warn",
        headline=f"{parts} could not be read.",
        advice="Everything is kept as it came. Replay reads it again, once the cause is fixed.",
        links=(Link("The quarantine", list_url(QuarantinedItem), QuarantinedItem),),
        is_now=False,
    )


def media_ignored(status: Status) -> Alert | None:
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


def account_errors(status: Status) -> Alert | None:
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


def ignored(status: Status) -> Alert | None:
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
