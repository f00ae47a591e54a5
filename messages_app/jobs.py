"""The RQ jobs of this app, and the one place that enqueues them."""

from __future__ import annotations

from django.db import close_old_connections

from media_app import queues
from messages_app import inbox, outbox, outbox_queues
from messages_app.models import Delivery

DRAIN = "messages_app.jobs.drain"
# A run begins no batch after ten seconds: only a single batch may take so long.
DRAIN_TIMEOUT_SECONDS = 300


def drain() -> None:
    """Read deliveries, for as long as one run may; another job goes on with the rest."""
    close_old_connections()
    queues.started(DRAIN)
    if inbox.drain() and Delivery.objects.due().exists():
        enqueue_drain()


def send() -> None:
    """Send replies."""
    _send(outbox_queues.REPLIES)


def hand_over() -> None:
    """Hand submitted sessions over to the business."""
    _send(outbox_queues.HAND_OVERS)


def _send(queue: outbox_queues.OutboxQueue) -> None:
    """Send as much as one job may; another job goes on with the rest."""
    close_old_connections()
    queues.started(queue.job)
    outbox.send_due(queue)
    outbox_queues.enqueue_senders()


def enqueue_drain() -> bool:
    """Enqueue a drain job. False, and no error, when Redis does not accept it."""
    return queues.enqueue_once("inbox", DRAIN, timeout=DRAIN_TIMEOUT_SECONDS)
