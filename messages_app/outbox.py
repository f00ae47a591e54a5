"""Send what is in the outbox: replies at most once, hand-overs at least once.

We never send a reply twice: ``sending`` is committed before the socket opens. The result of a reply
whose sending is cut off is unknown until the provider reports it, or staff send it again.

All times that are compared come from the database's clock: the clocks of the workers' hosts may
differ.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import Error, InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from rq.timeouts import BaseTimeoutException

from media_app.failpoints import failpoint
from messages_app import hand_overs, rebuilds, replies, reply_windows
from messages_app.hand_overs import HandOverError
from messages_app.models import Contact, Message, OutboxItem, PhotoSession
from messages_app.outbox_queues import (
    HAND_OVERS,
    REPLIES,
    Kind,
    OutboxQueue,
    State,
    sendable,
)
from messages_app.outbox_results import TOO_LATE, finish, retry_later
from messages_app.providers import provider
from messages_app.providers.base import OutgoingMessage
from messages_app.providers.sending import NotSentError, RefusedError, SendError
from messages_app.session_replies import queue_corrections
from messages_app.summaries import summarize, with_links
from messages_app.timing import OUTAGE_PAUSE, PREPARE_PAUSE, SEND_RUN_SECONDS

log = logging.getLogger(__name__)

# A run ends after so many items, or after SEND_RUN_SECONDS. The next run goes on.
ITEMS_PER_RUN = 100
# The number of items that are looked up at a time.
BATCH = 50
# Errors that are no fault of the item: all other items would fail as well.
_OUTAGES = (OperationalError, InterfaceError, BaseTimeoutException)
IN_ANOTHER_APP = (
    "Another app holds the conversation, and a reply would take it over. "
    "Send it again if that is meant, or answer in the other app."
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item that is being sent, with its rendered content."""

    item: OutboxItem
    #: None for a hand-over: its content is in the item.
    message: OutgoingMessage | None = None
    provider: str = ""


def send_due(*queues: OutboxQueue) -> int:
    """Send the items of these queues (default: both) that may be sent now, up to the limits of one
    run. Returns how many were sent.
    """
    return sum(_run(queue) for queue in queues or (REPLIES, HAND_OVERS))


def _run(queue: OutboxQueue) -> int:
    """Try each item at most once: one that failed waits for a later run, however short its
    pause.
    """
    sent, tried = 0, set[UUID]()
    ends_at = time.monotonic() + SEND_RUN_SECONDS
    while ids := _next(queue, tried):
        for id in ids:
            is_over = len(tried) >= ITEMS_PER_RUN or time.monotonic() >= ends_at
            # At least one, however slow the database is.
            if tried and is_over:
                return sent
            tried.add(id)
            sent += _try(queue, id)
    return sent


def _next(queue: OutboxQueue, tried: Collection[UUID]) -> list[UUID]:
    """The next items that may be sent and were not tried in this run."""
    untried = sendable(queue).exclude(id__in=tried)
    ids = untried.order_by("not_before", "place", "id").values_list("id", flat=True)
    return list(ids[:BATCH])


def _try(queue: OutboxQueue, id: UUID) -> bool:
    """Send one item, if it may still be sent. Returns whether it was. Its error does not stop the
    others.
    """
    try:
        claimed = _claim(queue, id)
    except Exception as error:
        _postpone(id, error)
        _log_or_raise("an outbox item could not be prepared", error, id)
        return False
    return claimed is not None and _send(claimed)


def _postpone(id: UUID, error: Exception) -> None:
    """Let others go before an item that could not be prepared."""
    pause = PREPARE_PAUSE
    if isinstance(error, _OUTAGES):
        pause = OUTAGE_PAUSE
    # When the database is down this fails as well.
    with suppress(Error):
        OutboxItem.objects.filter(id=id, state=State.QUEUED).update(
            attempts=F("attempts") + 1,
            first_tried_at=Coalesce("first_tried_at", Now()),
            not_before=Now() + pause,
            last_error=f"It could not be prepared: {type(error).__name__}. The log says more.",
        )


def _log_or_raise(what: str, error: Exception, id: UUID) -> None:
    """Raise an outage: it ends the run. Log what concerns only this item."""
    if isinstance(error, _OUTAGES):
        raise error
    # The text of a database error quotes rows, with people's numbers.
    trace = error if not isinstance(error, Error) else None
    log.error(
        what, exc_info=trace, extra={"item": str(id), "error": type(error).__name__}
    )


def _claim(queue: OutboxQueue, id: UUID) -> Claimed | None:
    """Render one item and commit that it is being sent; None when it may not be sent now."""
    with transaction.atomic():
        # The contact's lock first, as everything that writes a session does: the content is what
        # is known at this moment.
        contact = Contact.objects.filter(sessions__outbox=id)
        contact.select_for_update(of=("self",)).first()
        # Checked again: another worker may have claimed it, or an older delivery may be unread
        # again.
        items = sendable(queue).filter(id=id).select_for_update(of=("self",))
        item = items.annotate(now=Now()).select_related("session__contact").first()
        if item is None:
            return None
        if item.kind == Kind.HAND_OVER:
            claimed = _render_hand_over(item)
        else:
            refusal = _refusal(item, item.now)
            if refusal:
                item.state, item.last_error = State.FAILED, refusal
                item.save(update_fields=["state", "last_error"])
                return None
            claimed = _render_reply(item)
        item.state, item.attempts = State.SENDING, item.attempts + 1
        item.sending_at = item.now
        item.first_tried_at = item.first_tried_at or item.now
        item.save()
        failpoint("outbox_in_claim")
    failpoint("outbox_after_claim")
    return claimed


def _refusal(item: OutboxItem, now: datetime) -> str:
    """Why a reply must not be sent any more, or ""."""
    if not reply_windows.is_open(item.session, now):
        return TOO_LATE
    if _is_in_another_app(item):
        return IN_ANOTHER_APP
    return ""


def _is_in_another_app(item: OutboxItem) -> bool:
    """Whether another app has the conversation: the contact's last message came by standby.
    Messages from before the reply was caused, or queued again by staff, do not count.
    """
    arrived = Message.objects.filter(
        contact=item.session.contact_id,
        provider=item.session.provider,
        account=item.session.account,
        direction=Message.Direction.RECEIVED,
        origin__in=(Message.Origin.LIVE, Message.Origin.STANDBY),
        group_id="",
        received_at__gte=item.caused_at,
    )
    newest_first = arrived.order_by("-received_at", "-occurred_at")
    last = newest_first.values_list("origin", flat=True).first()
    return last == Message.Origin.STANDBY


def _render_reply(item: OutboxItem) -> Claimed:
    session = item.session
    counts = summarize(session).counts
    reply = replies.render(
        item.kind,
        counts,
        is_submitted=session.state == PhotoSession.State.SUBMITTED,
        is_held=session.contact.is_held,
    )
    item.said = {"photos": counts.photos, "text": reply.text}
    message = OutgoingMessage(
        account=session.account,
        business=session.business,
        to=session.owner,
        text=reply.text,
        buttons=reply.buttons,
        reference=str(item.id),
    )
    return Claimed(item, message, session.provider)


def _render_hand_over(item: OutboxItem) -> Claimed:
    # A revision is rendered once: it has the same content however often it is sent.
    item.said = item.said or summarize(item.session).as_data(item.revision)
    return Claimed(item)


def _send(claimed: Claimed) -> bool:
    item = claimed.item
    try:
        if claimed.message is None:
            hand_overs.post(with_links(item.said))
        else:
            item.provider_message_id = provider(claimed.provider).send(claimed.message)
    except NotSentError as error:
        retry_later(item, str(error), error.retry_after)
    except HandOverError as error:
        retry_later(item, str(error))
    except RefusedError as error:
        finish(item, State.FAILED, str(error))
    except SendError as error:
        finish(item, State.UNKNOWN, str(error))
    except Exception as error:
        reason = f"It broke off while it was sent: {type(error).__name__}."
        if item.kind == Kind.HAND_OVER:
            retry_later(item, reason)
        else:
            finish(item, State.UNKNOWN, f"{reason} It may have arrived.")
        _log_or_raise("an outbox item broke off while it was sent", error, item.id)
    else:
        failpoint("outbox_after_send")
        finish(item, State.SENT)
        failpoint("outbox_after_mark")
        rebuilds.with_lock(item.session, queue_corrections)
        return True
    return False
