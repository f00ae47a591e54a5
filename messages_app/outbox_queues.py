"""The two queues of the outbox, and which of their items may be sent now.

An outbox queue is the items for one receiver. An item is *queued* while it waits in the database to
be sent. The jobs that send the items of a queue wait in the RQ queue of the same purpose.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from media_app import queues
from messages_app.models import Delivery, OutboxItem, SessionRebuild

State = OutboxItem.State
Kind = OutboxItem.Kind


@dataclass(frozen=True, slots=True)
class OutboxQueue:
    """Each has workers of its own: a receiver that does not answer delays only its own items."""

    #: The RQ queue of its jobs.
    name: str
    job: str
    items: Q


REPLIES = OutboxQueue("outbox", "messages_app.jobs.send", ~Q(kind=Kind.HAND_OVER))
HAND_OVERS = OutboxQueue(
    "handovers", "messages_app.jobs.hand_over", Q(kind=Kind.HAND_OVER)
)


def sendable(queue: OutboxQueue) -> QuerySet[OutboxItem]:
    """The items of a queue that may be sent now.

    Their time has come, no item of their session goes before them, and every delivery received
    before their cause has been read and is in its session. The query leaves all other items out:
    they never block the queue.
    """
    own = OutboxItem.objects.filter(queue.items)
    # Two conditions: SQLite uses no partial index for a list of states.
    ahead = own.filter(
        state=State.QUEUED, session=OuterRef("session"), place__lt=OuterRef("place")
    )
    being_sent = own.filter(state=State.SENDING).values("session")
    unread_since = Subquery(Delivery.objects.due().values("received_at")[:1])
    rebuild = SessionRebuild.objects.fresh().filter(
        contact=OuterRef("session__contact")
    )
    return OutboxItem.objects.alias(unread_since=unread_since).filter(
        queue.items,
        Q(unread_since=None) | Q(caused_at__lt=F("unread_since")),
        ~Exists(ahead),
        ~Exists(rebuild),
        ~Q(session__in=being_sent),
        state=State.QUEUED,
        not_before__lte=Now(),
    )


def enqueue_senders() -> bool:
    """Enqueue a job for each queue that has something to send. False, and no error, when Redis
    does not accept it.
    """
    needed = [queue for queue in (REPLIES, HAND_OVERS) if sendable(queue).exists()]
    return all(queues.enqueue_once(queue.name, queue.job) for queue in needed)
