"""RQ's entry points of this floor, and the one place that queues them."""

from __future__ import annotations

from django.db import close_old_connections

from media_app import queues
from messages_app import inbox, outbox
from messages_app.models import Delivery

DRAIN = "messages_app.jobs.drain"
# A run begins no batch after ten seconds: what takes this long is one batch.
DRAIN_TIMEOUT_SECONDS = 300


def drain() -> None:
    """Read what came in, for as long as one run may; another job goes on with the rest."""
    close_old_connections()
    queues.started(DRAIN)
    if inbox.drain() and Delivery.objects.due().exists():
        wake_inbox()


def send() -> None:
    """Send replies."""
    _send(outbox.REPLIES)


def hand_over() -> None:
    """Hand submitted sessions over to the business."""
    _send(outbox.HAND_OVERS)


def _send(queue: outbox.Queue) -> None:
    """As much as one job may; another one goes on with the rest."""
    close_old_connections()
    queues.started(queue.job)
    outbox.send_due(queue)
    outbox.wake()


def wake_inbox() -> bool:
    """Tell a worker that something came in. False, and no error, when Redis can't take it."""
    return queues.enqueue_once("inbox", DRAIN, timeout=DRAIN_TIMEOUT_SECONDS)
