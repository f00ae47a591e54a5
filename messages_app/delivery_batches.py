"""Read a batch of deliveries in the caller's transaction: events, their rows, results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction
from rq.timeouts import BaseTimeoutException

from media_app import jobs as media_jobs
from media_app.database_errors import is_outage
from messages_app import outbox_queues
from messages_app.delivery_results import save_results
from messages_app.erasing.withheld import withhold
from messages_app.event_rows import apply_events, events_of
from messages_app.inbox_faults import database_works_without, is_ambiguous, log_error
from messages_app.models import Delivery
from messages_app.providers.events import Event, MessageReceived, Unreadable

# A delivery may have more messages than a statement may have parameters.
EVENTS_AT_ONCE = 1000
# A delivery whose batches failed this often is read alone, so that the others are processed …
ALONE_FROM = 2
# … and after this many attempts it is quarantined for staff.
QUARANTINED_FROM = 5


def read_batch(batch: Sequence[Delivery]) -> None:
    """Apply a batch. ``attempts`` of its deliveries is the count before this attempt."""
    events: dict[str, list[Event]] = {}
    for delivery in batch:
        if delivery.attempts >= QUARANTINED_FROM:
            events[delivery.id] = [_given_up(delivery)]
        else:
            events[delivery.id] = list(events_of(delivery))
    withhold(batch, events)
    alone = len(batch) == 1 and batch[0].attempts >= ALONE_FROM
    if alone:
        delivery = batch[0]
        events[delivery.id] = _save_one_by_one(delivery, events[delivery.id])
    else:
        pairs = [
            (delivery, event) for delivery in batch for event in events[delivery.id]
        ]
        for start in range(0, len(pairs), EVENTS_AT_ONCE):
            apply_events(pairs[start : start + EVENTS_AT_ONCE])
    save_results(batch, events)
    # The batch is committed by then: where enqueueing fails, the sweeper does it.
    transaction.on_commit(_enqueue, robust=True)


def _given_up(delivery: Delivery) -> Unreadable:
    error = (
        f"Given up after {delivery.attempts} tries: reading it stopped the reader "
        "each time."
    )
    return Unreadable(path="", error=error)


def _enqueue() -> None:
    media_jobs.enqueue_fetches()
    outbox_queues.enqueue_senders()


def _save_one_by_one(delivery: Delivery, events: Iterable[Event]) -> list[Event]:
    """Save each event by itself; one that the database does not accept becomes Unreadable."""
    saved: list[Event] = []
    for index, event in enumerate(events):
        try:
            with transaction.atomic():
                apply_events([(delivery, event)])
            saved.append(event)
        except Exception as error:
            if not _is_caused_by_event(error, delivery):
                raise
            log_error("an event could not be kept", error, delivery=delivery.id)
            reason = f"{_name_of(event)} could not be kept: {type(error).__name__}."
            saved.append(Unreadable(path=f"event[{index}]", error=reason))
    return saved


def _is_caused_by_event(error: Exception, delivery: Delivery) -> bool:
    if isinstance(error, BaseTimeoutException) or is_outage(error):
        return False
    if not is_ambiguous(error):
        return True
    # Before the whole delivery is given up, what of it can be saved is saved.
    is_last_attempt = delivery.attempts == QUARANTINED_FROM - 1
    return is_last_attempt and database_works_without(delivery)


def _name_of(event: Event) -> str:
    if isinstance(event, MessageReceived):
        return f"Message {event.provider_message_id}"
    return type(event).__name__
