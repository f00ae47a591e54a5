"""Deliveries that bring erased messages again: they are not read, and their bodies lose them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from media_app import tombstones
from messages_app.event_rows import events_of, id_of, raw_of, status_id_of
from messages_app.models import Delivery
from messages_app.providers import provider_of
from messages_app.providers.base import Erased
from messages_app.providers.events import Event, MessageReceived, StatusChanged


def withhold(batch: Sequence[Delivery], events: dict[str, list[Event]]) -> None:
    """Leave out the events of erased messages, and remove them from the bodies of their deliveries,
    in the caller's transaction.

    An erased message alone makes no contact, and its number stays nowhere.
    """
    if not settings.ERASURE_KEY:
        return
    ids = {
        id
        for delivery in batch
        for event in events[delivery.id]
        for id in ids_of(delivery, event)
    }
    erased = tombstones.erased(ids)
    if not erased:
        return
    for delivery in batch:
        gone, stay = _split(delivery, events[delivery.id], erased)
        if gone:
            redact(delivery, _parts_of(gone, stay))
            # Also what could not be read is shown to staff: read again, it is others' alone.
            _, events[delivery.id] = _split(delivery, events_of(delivery), erased)


def _split(
    delivery: Delivery, events: Iterable[Event], erased: set[UUID]
) -> tuple[list[Event], list[Event]]:
    """The events of what was erased, and the others."""
    gone: list[Event] = []
    stay: list[Event] = []
    for event in events:
        is_gone = not erased.isdisjoint(ids_of(delivery, event))
        (gone if is_gone else stay).append(event)
    return gone, stay


def redact(delivery: Delivery, parts: Erased) -> bool:
    """Remove these parts from a delivery's body; the parts of others stay. False where it has none.

    Its id stays, although it was the digest of the whole body: the same request is still known.
    """
    body = provider_of(delivery.endpoint).without(raw_of(delivery), parts)
    if body == bytes(delivery.body):
        return False
    values: dict[str, object] = {"body": body, "erased_at": Now(), "last_error": ""}
    if not body:
        # The query of a status names a reply.
        values["query"] = ""
    Delivery.objects.filter(id=delivery.id).update(**values)
    delivery.refresh_from_db(fields=["body", "query", "erased_at", "last_error"])
    return True


def ids_of(delivery: Delivery, event: Event) -> Iterator[UUID]:
    """What tombstones may know an event by."""
    if isinstance(event, StatusChanged) and event.group_id:
        # The message was sent to the whole group.
        yield status_id_of(delivery, event)
        return
    if isinstance(event, MessageReceived | StatusChanged):
        yield id_of(delivery, event)
    if isinstance(event, StatusChanged):
        try:
            # Of a reply whose id at the provider was not known yet.
            yield UUID(event.reference)
        except ValueError:
            return


def _parts_of(gone: Sequence[Event], stay: Sequence[Event]) -> Erased:
    others = {owner for event in stay for owner in people_of(event)}
    return Erased(
        # With a new message of theirs the sender's card stays, too.
        owners=frozenset(people_of_all(gone) - others),
        message_ids=message_ids_of(gone),
    )


def message_ids_of(events: Iterable[Event]) -> frozenset[str]:
    """The provider's ids of the messages that are one person's: not those to a whole group."""
    return frozenset(
        event.provider_message_id
        for event in events
        if isinstance(event, MessageReceived)
        or (isinstance(event, StatusChanged) and not event.group_id)
    )


def people_of_all(events: Iterable[Event]) -> set[str]:
    return {owner for event in events for owner in people_of(event)}


def people_of(event: Event) -> tuple[str, ...]:
    """The owners of the customer that an event is about."""
    if isinstance(event, StatusChanged):
        return (event.recipient,) if event.recipient else ()
    return getattr(event, "owners", ())
