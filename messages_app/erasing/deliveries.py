"""The raw deliveries that name a person: found by bytes, and taken apart by their provider."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from media_app.clock import just_after
from media_app.failpoints import failpoint
from messages_app.erasing.person import Person
from messages_app.erasing.run import ClosedInbox, Run
from messages_app.erasing.withheld import (
    ids_of,
    message_ids_of,
    people_of,
    people_of_all,
    redact,
)
from messages_app.event_rows import events_of, file_ids_of
from messages_app.models import Delivery, DeliveryNotice, QuarantinedItem
from messages_app.providers.base import Erased
from messages_app.providers.events import Event

# Bodies may have megabytes.
BATCH = 20

_CONTAINS = {
    "postgresql": "POSITION(%s::bytea IN body) > 0",
    "sqlite": "INSTR(body, %s) > 0",
}


def naming(person: Person) -> QuerySet[Delivery]:
    """Deliveries that may name the person: an address of theirs stands in the body, perhaps within
    a longer number, or in the words of somebody else. It reads every body.
    """
    if not person.owners:
        return Delivery.objects.none()
    sql = " OR ".join([_CONTAINS[connection.vendor]] * len(person.needles()))
    names = RawSQL(f"({sql})", person.needles(), output_field=BooleanField())  # noqa: S611
    return Delivery.objects.alias(names=names).filter(
        names=True, received_at__lt=just_after(person.until)
    )


def own_events(delivery: Delivery, person: Person) -> list[Event]:
    """What a delivery says of the person."""
    return [
        event
        for event in events_of(delivery)
        if not set(person.owners).isdisjoint(people_of(event))
    ]


def tombstones_of(person: Person) -> Iterator[UUID]:
    """The ids of messages, statuses and files in deliveries, whether they were read yet or not."""
    for delivery in naming(person).order_by("id").iterator(chunk_size=BATCH):
        for event in own_events(delivery, person):
            yield from ids_of(delivery, event)
            yield from file_ids_of(delivery, event)


def erase_deliveries(run: Run) -> int:
    """Remove the person's parts from all bodies. Returns from how many."""
    ids = list(naming(run.person).order_by("id").values_list("id", flat=True))
    erased = 0
    with ClosedInbox(run) as inbox:
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            with inbox.batch():
                rows = Delivery.objects.filter(id__in=batch).order_by("id")
                done = sum(
                    _erase(delivery, run.person)
                    for delivery in rows.select_for_update()
                )
                run.count(deliveries=done)
            erased += done
            failpoint("erase_within_deliveries")
    return erased


def _erase(delivery: Delivery, person: Person) -> bool:
    events = own_events(delivery, person)
    parts = Erased(
        # A hidden id that this delivery alone knows is theirs, too.
        owners=frozenset(person.owners) | people_of_all(events),
        message_ids=message_ids_of(events),
    )
    if not redact(delivery, parts):
        return False
    _erase_results(delivery, person, parts.message_ids)
    return True


def _erase_results(
    delivery: Delivery, person: Person, message_ids: Iterable[str]
) -> None:
    """What staff were shown of the person's parts."""

    def is_theirs(*texts: str) -> bool:
        text = " ".join(texts)
        return (
            not delivery.body
            or person.is_named_in(text)
            or any(id in text for id in message_ids)
        )

    items = QuarantinedItem.objects.filter(delivery=delivery)
    for item in items:
        if is_theirs(item.path, item.error, json.dumps(item.payload)):
            item.delete()
    for notice in DeliveryNotice.objects.filter(delivery=delivery):
        if is_theirs(notice.name, notice.error):
            notice.delete()
    if not items.all().exists():
        unread = Q(state=Delivery.State.PARTIAL) | Q(state=Delivery.State.FAILED)
        Delivery.objects.filter(unread, id=delivery.id).update(
            state=Delivery.State.PROCESSED
        )
