"""How an item of the outbox ends: by its attempt, by the provider's status, by time, by staff."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from media_app import retry
from media_app.timing import MIN_PAUSE
from messages_app import reply_windows
from messages_app.models import MessageStatus, OutboxItem, PhotoSession
from messages_app.outbox_queues import REPLIES, Kind, State
from messages_app.providers.events import StatusChanged
from messages_app.providers.statuses import status_rank
from messages_app.timing import HAND_OVER_PERIOD, SENDING_LIMIT

log = logging.getLogger(__name__)

TOO_LATE = (
    "More than 24 hours after the contact's last message WhatsApp lets nobody answer."
)
CUT_OFF = "It was cut off while it was sent. It may have arrived."


def retry_later(
    item: OutboxItem, reason: str, retry_after: timedelta | None = None
) -> None:
    """Queue the item again, because nothing was sent, or sending it twice does no harm.

    ``retry_after`` is the pause that the provider asks for. A hand-over fails after
    HAND_OVER_PERIOD; a reply fails when its reply window is over.
    """
    assert item.sending_at is not None and item.first_tried_at is not None  # noqa: S101
    tried_for = item.sending_at - item.first_tried_at
    if item.kind == Kind.HAND_OVER and tried_for > HAND_OVER_PERIOD:
        finish(item, State.FAILED, reason)
        return
    jitter = random.random()  # noqa: S311
    pause = retry_after or retry.pause(item.attempts, tried_for, jitter)
    _same_attempt(item, State.SENDING).update(
        state=State.QUEUED,
        last_error=reason,
        not_before=Now() + max(pause, MIN_PAUSE),
    )


def finish(item: OutboxItem, state: OutboxItem.State, reason: str = "") -> None:
    """End this attempt, unless a status of the provider, or staff, has ended it before."""
    values: dict[str, object] = {}
    if state == State.SENT:
        values["sent_at"] = Now()
    _same_attempt(item, State.SENDING, State.UNKNOWN).update(
        state=state,
        last_error=reason,
        provider_message_id=item.provider_message_id,
        **values,
    )
    if state != State.SENT:
        log.warning(
            "an outbox item was not sent",
            extra={"item": str(item.id), "state": state, "reason": reason},
        )


def _same_attempt(item: OutboxItem, *states: OutboxItem.State) -> QuerySet[OutboxItem]:
    """The item, unless another worker has begun a later attempt: this one may have been suspended
    in between.
    """
    return OutboxItem.objects.filter(
        id=item.id, state__in=states, sending_at=item.sending_at
    )


def finish_overdue() -> int:
    """End the items that wait for nothing any more. Returns how many.

    Items that were cut off while they were sent: a reply is unknown from now on, a hand-over is
    sent again. And replies whose window is over, also those that wait for others of their session.
    """
    long_silent = PhotoSession.objects.filter(
        reply_windows.is_over(), id=OuterRef("session")
    )
    too_late = OutboxItem.objects.filter(
        REPLIES.items, Exists(long_silent), state=State.QUEUED
    )
    cut_off = OutboxItem.objects.filter(
        state=State.SENDING, sending_at__lt=Now() - SENDING_LIMIT
    )
    again = cut_off.filter(kind=Kind.HAND_OVER).update(state=State.QUEUED)
    unknown = cut_off.update(state=State.UNKNOWN, last_error=CUT_OFF)
    failed = too_late.update(state=State.FAILED, last_error=TOO_LATE)
    return again + unknown + failed


def apply_statuses(statuses: Iterable[StatusChanged]) -> None:
    """Apply what the provider reports about our messages, in the caller's transaction. It overrules
    what we know.
    """
    for status in sorted(statuses, key=lambda status: status_rank(status.status)):
        item = _item_of(status)
        if item is None:
            continue
        if status.status == "failed":
            if _has_arrived(item):
                continue
            item.state = State.FAILED
            item.last_error = f"The provider could not deliver it: {status.error}"
        else:
            item.state, item.last_error = State.SENT, ""
        item.provider_message_id = status.provider_message_id
        item.sent_at = item.sent_at or status.occurred_at
        item.save(
            update_fields=["provider_message_id", "state", "last_error", "sent_at"]
        )


def _item_of(status: StatusChanged) -> OutboxItem | None:
    """The reply that a status is about, by our own reference in it."""
    try:
        id = UUID(status.reference)
    except ValueError:
        return None
    return OutboxItem.objects.filter(id=id).exclude(state=State.QUEUED).first()


def _has_arrived(item: OutboxItem) -> bool:
    return MessageStatus.objects.filter(
        reference=str(item.id), rank__gt=status_rank("failed")
    ).exists()


def send_again(item: OutboxItem) -> bool:
    """Staff send an item that failed, or whose result is unknown, once more. False when it is
    neither.
    """
    return _queue_again(
        OutboxItem.objects.filter(id=item.id, state__in=(State.FAILED, State.UNKNOWN))
    )


def resend_summary(session: PhotoSession) -> bool:
    """Hand the last revision of a submitted session over once more; False where there is none."""
    hand_overs = session.outbox.filter(kind=Kind.HAND_OVER)
    last = OutboxItem.objects.filter(
        id=hand_overs.order_by("-revision").values("id")[:1]
    )
    return _queue_again(last.exclude(state__in=(State.QUEUED, State.SENDING)))


def _queue_again(items: QuerySet[OutboxItem]) -> bool:
    """Queue it as if it were new."""
    updated = items.update(
        state=State.QUEUED,
        not_before=Now(),
        caused_at=Now(),
        first_tried_at=None,
        attempts=0,
    )
    return updated == 1
