"""The result of reading a delivery: its state, quarantined parts, notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from media_app.identity import computed_id
from messages_app.models import Delivery, DeliveryNotice, QuarantinedItem
from messages_app.providers.events import Event, Noticed, Unreadable

# So many different notices of one delivery are saved.
MAX_NOTICES = 50
# So many items of one delivery are quarantined one by one.
MAX_QUARANTINED = 100


def save_results(batch: Sequence[Delivery], events: dict[str, list[Event]]) -> None:
    """Save how each delivery ended, and what of it could not be read."""
    items: dict[UUID, QuarantinedItem] = {}
    read: list[str] = []
    for delivery in batch:
        unread = [
            event for event in events[delivery.id] if isinstance(event, Unreadable)
        ]
        if not unread:
            read.append(delivery.id)
            continue
        for event in _first_of(unread):
            item = _quarantined(delivery, event)
            items[item.id] = item
        state = Delivery.State.PARTIAL
        if any(event.path == "" for event in unread):
            state = Delivery.State.FAILED
        Delivery.objects.filter(id=delivery.id).update(
            state=state, last_error=unread[0].error
        )
    Delivery.objects.filter(id__in=read).update(
        state=Delivery.State.PROCESSED, last_error=""
    )
    _save_notices(batch, events)
    # What a replay was able to read is no longer in quarantine.
    QuarantinedItem.objects.filter(delivery__in=batch).delete()
    QuarantinedItem.objects.bulk_create(items.values(), batch_size=500)


def _first_of(unread: Sequence[Unreadable]) -> list[Unreadable]:
    """As many as staff can look through, and one that says how many more there are."""
    more = sum(event.parts for event in unread[MAX_QUARANTINED:])
    if not more:
        return list(unread)
    error = f"{more:,} more parts of this delivery could not be read. Its body has them all."
    return [*unread[:MAX_QUARANTINED], Unreadable(path="more", error=error)]


def _save_notices(batch: Sequence[Delivery], events: dict[str, list[Event]]) -> None:
    """Count by name what became no message. Counts of an earlier reading are replaced."""
    found: dict[UUID, DeliveryNotice] = {}
    for delivery in batch:
        noticed = Counter(
            event for event in events[delivery.id] if isinstance(event, Noticed)
        )
        for event, times in noticed.most_common(MAX_NOTICES):
            id = computed_id(
                "notice", delivery.id, event.name, event.error, str(event.has_media)
            )
            found[id] = DeliveryNotice(
                id=id, delivery=delivery, times=times, **asdict(event)
            )
    DeliveryNotice.objects.filter(delivery__in=batch).delete()
    DeliveryNotice.objects.bulk_create(found.values(), batch_size=500)


def _quarantined(delivery: Delivery, event: Unreadable) -> QuarantinedItem:
    return QuarantinedItem(
        id=computed_id("quarantine", delivery.id, event.path),
        delivery=delivery,
        path=event.path[:255],
        error=event.error,
        payload=event.payload,
    )
