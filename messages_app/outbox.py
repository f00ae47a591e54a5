"""Sending what is owed: replies once, hand-overs at least once.

A reply is never sent twice by us: ``sending`` is committed before the socket opens, and what became
of one that was cut off there is unknown until the provider says so, or staff send it again.

Every time that is compared here comes from the database's clock: those of the workers' hosts may
differ.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error, InterfaceError, OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now
from rq.timeouts import BaseTimeoutException

from media_app import retry
from media_app.failpoints import reached
from media_app.queues import enqueue_once
from media_app.timing import MIN_PAUSE
from messages_app import business, conversations, replies
from messages_app.business import HandOverError
from messages_app.models import (
    Contact,
    Delivery,
    Message,
    MessageStatus,
    OutboxItem,
    PhotoSession,
    SessionRebuild,
)
from messages_app.providers import provider
from messages_app.providers.base import OutgoingMessage
from messages_app.providers.events import StatusChanged
from messages_app.providers.sending import NotSentError, RefusedError, SendError
from messages_app.providers.statuses import status_rank
from messages_app.session_rows import review
from messages_app.summaries import summarize, with_links

log = logging.getLogger(__name__)

# WhatsApp lets a business answer for so long after the contact's last message.
WINDOW = timedelta(hours=24)
# Longer than any attempt to send takes.
OVERDUE = timedelta(minutes=3)
# A hand-over is tried for so long after its first attempt.
HAND_OVER_FOR = timedelta(days=3)
# A run ends after so many items, or so long: far below the time limit of its job, so that no send
# is cut off by it, and short enough for a worker that is told to stop. The next run goes on.
ITEMS_A_RUN = 100
SECONDS_A_RUN = 20.0
# So many are looked up at a time.
BATCH = 50
# What fails as a whole: no item is to blame, and the others would fail as well.
_OUTAGES = (OperationalError, InterfaceError, BaseTimeoutException)
# An item that could not be prepared is left alone for so long; the first one after an outage.
AFTER_OUTAGE = timedelta(seconds=10)
AFTER_FAULT = timedelta(minutes=5)
TOO_LATE = (
    "More than 24 hours after the contact's last message WhatsApp lets nobody answer."
)
HELD_BY_ANOTHER_APP = (
    "Another app holds the conversation, and a reply would take it over. "
    "Send it again if that is meant, or answer in the other app."
)

State = OutboxItem.State
Kind = OutboxItem.Kind


@dataclass(frozen=True, slots=True)
class Queue:
    """What goes to one outside, by a worker of its own: where one does not answer, the other one is
    not delayed.
    """

    #: Of RQ.
    name: str
    job: str
    items: Q


REPLIES = Queue("outbox", "messages_app.jobs.send", ~Q(kind=Kind.HAND_OVER))
HAND_OVERS = Queue("handovers", "messages_app.jobs.hand_over", Q(kind=Kind.HAND_OVER))


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that is being sent, put into words."""

    item: OutboxItem
    #: None for a hand-over, whose words are the item's own.
    message: OutgoingMessage | None = None
    provider: str = ""


def _sendable(queue: Queue) -> QuerySet[OutboxItem]:
    """The items of a queue that may be sent now.

    Their time has come, nothing of their session goes before them, and everything that reached us
    before their cause has been read and is in its session. What may not be sent is left out by the
    query: it never stands in the way of the others.
    """
    own = OutboxItem.objects.filter(queue.items)
    # Two conditions: SQLite uses no partial index for a list of states.
    ahead = own.filter(
        state=State.QUEUED, session=OuterRef("session"), place__lt=OuterRef("place")
    )
    being_sent = own.filter(state=State.SENDING).values("session")
    unread_since = Subquery(Delivery.objects.due().values("received_at")[:1])
    return OutboxItem.objects.alias(unread_since=unread_since).filter(
        queue.items,
        Q(unread_since=None) | Q(caused_at__lt=F("unread_since")),
        ~Exists(ahead),
        ~Exists(
            SessionRebuild.objects.fresh().filter(contact=OuterRef("session__contact"))
        ),
        ~Q(session__in=being_sent),
        state=State.QUEUED,
        not_before__lte=Now(),
    )


def _next(queue: Queue, tried: Collection[UUID]) -> list[UUID]:
    """The first that may be sent and were not tried yet, in the order in which they go out."""
    untried = _sendable(queue).exclude(id__in=tried)
    return list(
        untried.order_by("not_before", "place", "id").values_list("id", flat=True)[
            :BATCH
        ]
    )


def wake() -> bool:
    """Tell the workers that something is to be sent, if that is so. False, and no error, when Redis
    can't take it.
    """
    needed = [queue for queue in (REPLIES, HAND_OVERS) if _sendable(queue).exists()]
    return all(enqueue_once(queue.name, queue.job) for queue in needed)


def send_due(*queues: Queue) -> int:
    """Send what may be sent now (of these queues; of both), as much as one run may. Returns how
    many were sent.
    """
    return sum(_run(queue) for queue in queues or (REPLIES, HAND_OVERS))


def _run(queue: Queue) -> int:
    """Try each item once at most: one that failed waits for a later run, however short its
    pause.
    """
    sent, tried, ends_at = 0, set[UUID](), time.monotonic() + SECONDS_A_RUN
    while ids := _next(queue, tried):
        for id in ids:
            is_over = len(tried) >= ITEMS_A_RUN or time.monotonic() >= ends_at
            # One at least, however slow the database is.
            if tried and is_over:
                return sent
            tried.add(id)
            sent += _try(queue, id)
    return sent


def _try(queue: Queue, id: UUID) -> bool:
    """Send one item, if it may still go; whether it was sent. One that raises does not stop the
    others.
    """
    try:
        claimed = _claim(queue, id)
    except Exception as error:
        _set_back(id, error)
        _log_or_raise("a reply could not be prepared", error, id)
        return False
    return claimed is not None and _send(claimed)


def _set_back(id: UUID, error: Exception) -> None:
    """Let others go before an item that could not be prepared."""
    pause = AFTER_OUTAGE if isinstance(error, _OUTAGES) else AFTER_FAULT
    # Where the database is down all of this is in vain.
    with suppress(Error):
        OutboxItem.objects.filter(id=id, state=State.QUEUED).update(
            attempts=F("attempts") + 1,
            first_tried_at=Coalesce("first_tried_at", Now()),
            not_before=Now() + pause,
            last_error=f"It could not be prepared: {type(error).__name__}. The log says more.",
        )


def _log_or_raise(what: str, error: Exception, id: UUID) -> None:
    """An outage ends the run; anything else is this item's own."""
    if isinstance(error, _OUTAGES):
        raise error
    # A database's own words quote rows, with people's numbers.
    trace = None if isinstance(error, Error) else error
    log.error(
        what, exc_info=trace, extra={"item": str(id), "error": type(error).__name__}
    )


def overdue() -> int:
    """End what waits for nothing any more; returns how many items.

    What was cut off while it was sent: a reply is unknown from now on, a hand-over goes again. And
    the replies that come too late, also those that wait for others of their session.
    """
    long_silent = PhotoSession.objects.filter(
        id=OuterRef("session"), last_at__lt=Now() - WINDOW
    )
    too_late = OutboxItem.objects.filter(
        REPLIES.items, Exists(long_silent), state=State.QUEUED
    )
    cut_off = OutboxItem.objects.filter(
        state=State.SENDING, sending_at__lt=Now() - OVERDUE
    )
    again = cut_off.filter(kind=Kind.HAND_OVER).update(state=State.QUEUED)
    unknown = "It was cut off while it was sent. It may have arrived."
    unsure = cut_off.update(state=State.UNKNOWN, last_error=unknown)
    return again + unsure + too_late.update(state=State.FAILED, last_error=TOO_LATE)


def settle(statuses: Iterable[StatusChanged]) -> None:
    """What the provider says of our messages, in the caller's transaction: it knows better than we
    do.
    """
    for status in sorted(statuses, key=lambda status: status_rank(status.status)):
        item = _about(status)
        if item is None:
            continue
        failed = status.status == "failed"
        if failed and _has_arrived(item):
            continue
        item.provider_message_id = status.provider_message_id
        item.state = State.FAILED if failed else State.SENT
        item.last_error = (
            f"The provider could not deliver it: {status.error}" if failed else ""
        )
        item.sent_at = item.sent_at or status.occurred_at
        item.save(
            update_fields=["provider_message_id", "state", "last_error", "sent_at"]
        )


def send_again(item: OutboxItem) -> bool:
    """Staff know better: send one that failed, or whose fate is unknown. False when there is
    nothing to decide.
    """
    return _queue_anew(
        OutboxItem.objects.filter(id=item.id, state__in=(State.FAILED, State.UNKNOWN))
    )


def resend_summary(session: PhotoSession) -> bool:
    """Hand the last revision of a submitted session over once more; False where there is none."""
    last = (
        session.outbox.filter(kind=Kind.HAND_OVER)
        .order_by("-revision")
        .values("id")[:1]
    )
    return _queue_anew(
        OutboxItem.objects.filter(id=last).exclude(
            state__in=(State.QUEUED, State.SENDING)
        )
    )


def _queue_anew(items: QuerySet[OutboxItem]) -> bool:
    """From now on, with all its tries before it."""
    fresh = {
        "not_before": Now(),
        "caused_at": Now(),
        "first_tried_at": None,
        "attempts": 0,
    }
    return items.update(state=State.QUEUED, **fresh) == 1


def _claim(queue: Queue, id: UUID) -> Claimed | None:
    """Put one item into words and commit that it is being sent; None when it may not go now."""
    with transaction.atomic():
        # The contact first, as whoever writes a session locks it: what is said is what is known in
        # this moment.
        Contact.objects.select_for_update(of=("self",)).filter(
            sessions__outbox=id
        ).first()
        # Asked once more: another worker may have taken it since, or something older may be unread
        # again.
        sendable = _sendable(queue).filter(id=id).select_for_update(of=("self",))
        item = sendable.annotate(now=Now()).select_related("session__contact").first()
        if item is None:
            return None
        claimed = (
            _hand_over(item) if item.kind == Kind.HAND_OVER else _reply(item, item.now)
        )
        if claimed is None:
            return None
        item.state, item.attempts = State.SENDING, item.attempts + 1
        item.sending_at = item.now
        item.first_tried_at = item.first_tried_at or item.now
        item.save()
        reached("outbox_in_claim")
    reached("outbox_after_claim")
    return claimed


def _reply(item: OutboxItem, now: datetime) -> Claimed | None:
    session = item.session
    refusal = TOO_LATE if now - session.last_at > WINDOW else ""
    if not refusal and _is_held_by_another_app(item):
        refusal = HELD_BY_ANOTHER_APP
    if refusal:
        item.state, item.last_error = State.FAILED, refusal
        item.save(update_fields=["state", "last_error"])
        return None
    holding = summarize(session).holding
    is_submitted = session.state == PhotoSession.State.SUBMITTED
    is_held = session.contact.is_held
    text = replies.put(item.kind, holding, is_submitted=is_submitted, is_held=is_held)
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


def _is_held_by_another_app(item: OutboxItem) -> bool:
    """Whether the contact's last message since the reply was caused, or since staff queued it, came
    by standby.
    """
    since = Message.objects.filter(
        contact=item.session.contact_id,
        provider=item.session.provider,
        account=item.session.account,
        direction=Message.Direction.RECEIVED,
        origin__in=(Message.Origin.LIVE, Message.Origin.STANDBY),
        group_id="",
        received_at__gte=item.caused_at,
    )
    last = (
        since.order_by("-received_at", "-occurred_at")
        .values_list("origin", flat=True)
        .first()
    )
    return last == Message.Origin.STANDBY


def _hand_over(item: OutboxItem) -> Claimed:
    # The same revision has the same words, however often it goes.
    item.said = item.said or summarize(item.session).as_data(item.revision)
    return Claimed(item)


def _send(claimed: Claimed) -> bool:
    item = claimed.item
    try:
        if claimed.message is None:
            business.post(with_links(item.said))
        else:
            item.provider_message_id = provider(claimed.provider).send(claimed.message)
    except NotSentError as error:
        _again(item, str(error), error.retry_after)
        return False
    except HandOverError as error:
        _again(item, str(error), None)
        return False
    except SendError as error:
        _end(
            item,
            State.FAILED if isinstance(error, RefusedError) else State.UNKNOWN,
            str(error),
        )
        return False
    except Exception as error:
        reason = f"It broke off while it was sent: {type(error).__name__}."
        if item.kind == Kind.HAND_OVER:
            _again(item, reason, None)
        else:
            _end(item, State.UNKNOWN, f"{reason} It may have arrived.")
        _log_or_raise("a reply broke off while it was sent", error, item.id)
        return False
    reached("outbox_after_send")
    _end(item, State.SENT)
    reached("outbox_after_mark")
    conversations.alone(item.session, review)
    return True


def _again(item: OutboxItem, reason: str, after: timedelta | None) -> None:
    """It is certain that nothing was sent, or does no harm: try again, ``after`` so long if that is
    known.

    A hand-over fails in the end; a reply fails by itself when it is too late for it.
    """
    assert item.sending_at is not None and item.first_tried_at is not None  # noqa: S101
    tried_for = item.sending_at - item.first_tried_at
    if item.kind == Kind.HAND_OVER and tried_for > HAND_OVER_FOR:
        _end(item, State.FAILED, reason)
        return
    jitter = random.random()  # noqa: S311
    pause = max(after or retry.pause(item.attempts, tried_for, jitter), MIN_PAUSE)
    _still(item, State.SENDING).update(
        state=State.QUEUED, last_error=reason, not_before=Now() + pause
    )


def _end(item: OutboxItem, state: OutboxItem.State, reason: str = "") -> None:
    """Only from ``sending``: the provider's own word, or staff's, may have come before ours."""
    sending = _still(item, State.SENDING, State.UNKNOWN)
    sent = {"sent_at": Now()} if state == State.SENT else {}
    sending.update(
        state=state,
        last_error=reason,
        provider_message_id=item.provider_message_id,
        **sent,
    )
    if state != State.SENT:
        log.warning(
            "a reply was not sent",
            extra={"item": str(item.id), "state": state, "reason": reason},
        )


def _still(item: OutboxItem, *states: OutboxItem.State) -> QuerySet[OutboxItem]:
    """This attempt's item, unless it has gone on without us: a worker may have stood still in
    between.
    """
    return OutboxItem.objects.filter(
        id=item.id, state__in=states, sending_at=item.sending_at
    )


def _about(status: StatusChanged) -> OutboxItem | None:
    """The reply that a status is about, by our own reference, which came with it."""
    try:
        id = UUID(status.reference)
    except ValueError:
        return None
    return OutboxItem.objects.filter(id=id).exclude(state=State.QUEUED).first()


def _has_arrived(item: OutboxItem) -> bool:
    return MessageStatus.objects.filter(
        reference=str(item.id), rank__gt=status_rank("failed")
    ).exists()
