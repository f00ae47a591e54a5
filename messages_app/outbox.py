"""Sending what is owed: replies once, hand-overs at least once.

A reply is never sent twice by us: ``sending`` is committed before the socket opens, and what became of one that
was cut off there is unknown until the provider says so, or staff send it again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from media_app import hints, retry
from media_app.failpoints import reached
from messages_app import business, conversations, replies
from messages_app.business import HandOverError
from messages_app.models import Contact, Delivery, MessageStatus, OutboxItem, PhotoSession
from messages_app.providers import provider
from messages_app.providers.base import OutgoingMessage
from messages_app.providers.events import StatusChanged
from messages_app.providers.sending import NotSentError, RefusedError, SendError
from messages_app.providers.statuses import status_rank
from messages_app.summaries import summarize

log = logging.getLogger(__name__)

SEND = "messages_app.jobs.send"
# WhatsApp lets a business answer for so long after the contact's last message.
WINDOW = timedelta(hours=24)
# Longer than any attempt to send takes.
OVERDUE = timedelta(minutes=3)
# A hand-over is tried for so long.
HAND_OVER_FOR = timedelta(days=3)

State = OutboxItem.State
Kind = OutboxItem.Kind


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that is being sent, put into words."""

    item: OutboxItem
    #: None for a hand-over, whose words are the item's own.
    message: OutgoingMessage | None = None
    provider: str = ""


def _due() -> QuerySet[OutboxItem]:
    """The items whose time has come."""
    return OutboxItem.objects.filter(state=State.QUEUED, not_before__lte=Now())


def _next() -> list[UUID]:
    """Those of them to look at first, in the order in which they go out."""
    return list(_due().order_by("not_before", "place", "id").values_list("id", flat=True)[:200])


def wake() -> bool:
    """Tell a worker that something is to be sent, if that is so. False, and no error, when Redis can't take it."""
    return not _due().exists() or hints.give_once("outbox", SEND)


def send_due() -> int:
    """Send all that is due and may go; returns how many were sent."""
    sent, tried = 0, set[UUID]()
    while ids := [id for id in _next() if id not in tried]:
        for id in ids:
            tried.add(id)
            claimed = _claim(id)
            if claimed is not None:
                # What goes out lets the next one of its session go.
                tried.clear()
                sent += _send(claimed)
    return sent


def overdue() -> int:
    """Items that were cut off while they were sent. Replies are unknown from now on, hand-overs go again. How many."""
    cut_off = OutboxItem.objects.filter(state=State.SENDING, sending_at__lt=Now() - OVERDUE)
    again = cut_off.filter(kind=Kind.HAND_OVER).update(state=State.QUEUED)
    unknown = "It was cut off while it was sent. It may have arrived."
    return again + cut_off.update(state=State.UNKNOWN, last_error=unknown)


def settle(statuses: Iterable[StatusChanged]) -> None:
    """What the provider says of our messages, in the caller's transaction: it knows better than we do."""
    for status in sorted(statuses, key=lambda status: status_rank(status.status)):
        item = _about(status)
        if item is None:
            continue
        failed = status.status == "failed"
        if failed and _has_arrived(item):
            continue
        item.provider_message_id = status.provider_message_id
        item.state = State.FAILED if failed else State.SENT
        item.last_error = f"The provider could not deliver it: {status.error}" if failed else ""
        item.sent_at = item.sent_at or status.occurred_at
        item.save(update_fields=["provider_message_id", "state", "last_error", "sent_at"])


def send_again(item: OutboxItem) -> bool:
    """Staff know better: send one that failed, or whose fate is unknown. False when there is nothing to decide."""
    return _queue_anew(OutboxItem.objects.filter(id=item.id, state__in=(State.FAILED, State.UNKNOWN)))


def resend_summary(session: PhotoSession) -> bool:
    """Hand the last revision of a submitted session over once more; False where there is none."""
    last = session.outbox.filter(kind=Kind.HAND_OVER).order_by("-revision").values("id")[:1]
    return _queue_anew(OutboxItem.objects.filter(id=last).exclude(state__in=(State.QUEUED, State.SENDING)))


def _queue_anew(items: QuerySet[OutboxItem]) -> bool:
    """From now on, with all its tries before it."""
    return items.update(state=State.QUEUED, not_before=Now(), caused_at=Now(), attempts=0) == 1


def _claim(id: UUID) -> Claimed | None:
    """Put one item into words and commit that it is being sent; None when it may not go now."""
    with transaction.atomic():
        # The contact first, as whoever writes a session locks it: what is said is what is known in this moment.
        Contact.objects.select_for_update().filter(sessions__outbox=id).first()
        item = OutboxItem.objects.select_related("session__contact").filter(id=id, state=State.QUEUED).first()
        if item is None or not _may_go(item):
            return None
        claimed = _hand_over(item) if item.kind == Kind.HAND_OVER else _reply(item)
        if claimed is None:
            return None
        item.state, item.attempts = State.SENDING, item.attempts + 1
        item.sending_at = datetime.now(UTC)
        item.save()
        reached("outbox_in_claim")
    reached("outbox_after_claim")
    return claimed


def _may_go(item: OutboxItem) -> bool:
    """Whether everything older than its cause has been read, and what comes before it has gone."""
    if Delivery.objects.due().filter(received_at__lte=item.caused_at).exists():
        return False
    if item.kind == Kind.HAND_OVER:
        earlier = Q(kind=Kind.HAND_OVER, revision__lt=item.revision)
    else:
        earlier = ~Q(kind=Kind.HAND_OVER) & Q(place__lt=item.place)
    return not item.session.outbox.filter(earlier, state__in=(State.QUEUED, State.SENDING)).exists()


def _reply(item: OutboxItem) -> Claimed | None:
    session = item.session
    if datetime.now(UTC) - session.last_at > WINDOW:
        item.state = State.FAILED
        item.last_error = "More than 24 hours after the contact's last message WhatsApp lets nobody answer."
        item.save(update_fields=["state", "last_error"])
        return None
    holding = summarize(session).holding
    is_submitted = session.state == PhotoSession.State.SUBMITTED
    text = replies.put(item.kind, holding, is_submitted=is_submitted)
    item.said = {"photos": holding.photos, "text": text.text}
    message = OutgoingMessage(
        account=session.account,
        business=session.business,
        to=session.owner,
        text=text.text,
        buttons=text.buttons,
        reference=str(item.id),
    )
    return Claimed(item, message, session.provider)


def _hand_over(item: OutboxItem) -> Claimed:
    # The same revision has the same words, however often it goes.
    item.said = item.said or summarize(item.session).as_data(item.revision)
    return Claimed(item)


def _send(claimed: Claimed) -> bool:
    item = claimed.item
    try:
        if claimed.message is None:
            business.post(item.said)
        else:
            item.provider_message_id = provider(claimed.provider).send(claimed.message)
    except NotSentError as error:
        _again(item, str(error), error.retry_after)
        return False
    except HandOverError as error:
        _again(item, str(error), None)
        return False
    except SendError as error:
        _end(item, State.FAILED if isinstance(error, RefusedError) else State.UNKNOWN, str(error))
        return False
    reached("outbox_after_send")
    _end(item, State.SENT)
    reached("outbox_after_mark")
    conversations.alone(item.session, conversations.review)
    return True


def _again(item: OutboxItem, reason: str, after: timedelta | None) -> None:
    """It is certain that nothing was sent, or does no harm: try again, until it is too late."""
    now = datetime.now(UTC)
    age = now - item.caused_at
    if age > (HAND_OVER_FOR if item.kind == Kind.HAND_OVER else WINDOW):
        _end(item, State.FAILED, reason)
        return
    pause = after or retry.pause(item.attempts, age, random.random())  # noqa: S311
    sending = OutboxItem.objects.filter(id=item.id, state=State.SENDING)
    sending.update(state=State.QUEUED, last_error=reason, not_before=now + pause)


def _end(item: OutboxItem, state: OutboxItem.State, reason: str = "") -> None:
    """Only from ``sending``: the provider's own word, or staff's, may have come before ours."""
    sending = OutboxItem.objects.filter(id=item.id, state__in=(State.SENDING, State.UNKNOWN))
    sent = {"sent_at": Now()} if state == State.SENT else {}
    sending.update(state=state, last_error=reason, provider_message_id=item.provider_message_id, **sent)
    if state != State.SENT:
        log.warning("a reply was not sent", extra={"item": str(item.id), "state": state, "reason": reason})


def _about(status: StatusChanged) -> OutboxItem | None:
    """The reply that a status is about, by our own reference, which came with it."""
    try:
        id = UUID(status.reference)
    except ValueError:
        return None
    return OutboxItem.objects.filter(id=id).exclude(state=State.QUEUED).first()


def _has_arrived(item: OutboxItem) -> bool:
    return MessageStatus.objects.filter(reference=str(item.id), rank__gt=status_rank("failed")).exists()
