"""From stored deliveries to events, and from events to the rows of messages, statuses and files.

Ids are computed: the rows do not depend on the order of events.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from media_app.announce import Announcement, announce
from media_app.failpoints import failpoint
from media_app.identity import UNKNOWN_OWNER, WHATSAPP, computed_id, scheme_of
from media_app.inserts import insert_once
from messages_app import message_versions, outbox_results, rebuild_requests
from messages_app.contacts import SenderObservation, resolve
from messages_app.models import Attachment, Delivery, Message, MessageStatus
from messages_app.providers import RawDelivery, provider_of
from messages_app.providers.events import (
    ContactNamed,
    Event,
    MessageReceived,
    OwnersLinked,
    StatusChanged,
)
from messages_app.providers.statuses import status_rank


def events_of(delivery: Delivery) -> Iterator[Event]:
    """Read a stored delivery. One that was erased as a whole says nothing."""
    if delivery.erased_at and not delivery.body:
        return iter(())
    return provider_of(delivery.endpoint).read(raw_of(delivery))


def raw_of(delivery: Delivery) -> RawDelivery:
    """A stored delivery as its provider reads it."""
    return RawDelivery(
        endpoint=delivery.endpoint,
        content_type=delivery.content_type,
        query=delivery.query,
        body=bytes(delivery.body),
        received_at=delivery.received_at,
    )


class _Received(NamedTuple):
    """A message in a delivery, and the id of its row."""

    id: UUID
    delivery: Delivery
    event: MessageReceived


def apply_events(pairs: Sequence[tuple[Delivery, Event]]) -> None:
    """Save what the events say, idempotently, in the caller's transaction."""
    owners = _known_owners(pairs)
    pairs = [
        (delivery, _with_known_owner(delivery, event, owners))
        for delivery, event in pairs
    ]
    contacts = resolve(
        [observed for _, event in pairs if (observed := _observation(event))]
    )
    new, again = _new_and_again(pairs, owners)
    _save_messages([*again, *new], contacts)
    _save_statuses(pairs)
    failpoint("inbox_between_messages")
    _attach(new)
    # Built from the events once more: the insert has set fields of its instances to the values of
    # the existing rows.
    message_versions.merge([_report(received, contacts) for received in again])
    outbox_results.apply_statuses(
        event for _, event in pairs if isinstance(event, StatusChanged)
    )
    rebuild_requests.request_rebuilds(received.id for received in new)


def _known_owners(pairs: Sequence[tuple[Delivery, Event]]) -> dict[UUID, str]:
    """The owners of those messages in the events that have rows, by their ids."""
    ids = {
        id_of(delivery, event)
        for delivery, event in pairs
        if isinstance(event, MessageReceived)
    }
    return dict(Message.objects.filter(id__in=ids).values_list("id", "owner"))


def _new_and_again(
    pairs: Sequence[tuple[Delivery, Event]], known: Container[UUID]
) -> tuple[list[_Received], list[_Received]]:
    """The first report of each message without a row, and all other reports."""
    new: dict[UUID, _Received] = {}
    again: list[_Received] = []
    for delivery, event in pairs:
        if not isinstance(event, MessageReceived):
            continue
        received = _Received(id_of(delivery, event), delivery, event)
        if received.id in known or received.id in new:
            again.append(received)
        else:
            new[received.id] = received
    return list(new.values()), again


def _save_messages(messages: Sequence[_Received], contacts: Mapping[str, UUID]) -> None:
    """Insert a row for each message that has none: where ``messages`` has several reports
    of one, the last counts.

    Known messages are inserted too, without effect. ``inbox_faults.database_works_without`` relies
    on it: it applies a delivery that was read before, to see whether the database accepts messages.
    """
    rows = {received.id: _message(received, contacts) for received in messages}
    insert_once(list(rows.values()), no_op_update="provider")


def _save_statuses(pairs: Sequence[tuple[Delivery, Event]]) -> None:
    statuses: dict[UUID, MessageStatus] = {}
    for delivery, event in pairs:
        if isinstance(event, StatusChanged):
            status = _status(delivery, event)
            statuses.setdefault(status.id, status)
    insert_once(list(statuses.values()), no_op_update="message_id")


def _observation(event: Event) -> SenderObservation | None:
    """What the event says of a customer."""
    match event:
        case MessageReceived():
            return SenderObservation(
                owners=event.owners, name=event.name, at=event.occurred_at
            )
        case ContactNamed():
            return SenderObservation(
                owners=event.owners,
                name=event.name,
                at=event.named_at,
                is_message=False,
            )
        case OwnersLinked():
            return SenderObservation(owners=event.owners)
        case _:
            return None


def _attach(messages: Sequence[_Received]) -> None:
    """Announce the files of new messages."""
    announcements: list[Announcement] = []
    attachments: list[Attachment] = []
    for received in messages:
        for announcement in _announcements(received):
            announcements.append(announcement)
            attachments.append(
                Attachment(
                    message_id=received.id,
                    position=announcement.position,
                    media_id=announcement.id,
                )
            )
    announce(announcements, new={announcement.id for announcement in announcements})
    insert_once(attachments, no_op_update="position", on=("message_id", "position"))


def _report(
    received: _Received, contacts: Mapping[str, UUID]
) -> message_versions.Report:
    return message_versions.Report(
        _message(received, contacts), tuple(_announcements(received))
    )


def id_of(delivery: Delivery, event: MessageReceived | StatusChanged) -> UUID:
    """The id of the message that the event is about."""
    return computed_id(
        provider_of(delivery.endpoint).name, event.account, event.provider_message_id
    )


def _with_known_owner(
    delivery: Delivery, event: Event, owners: Mapping[UUID, str]
) -> Event:
    """The event, with the owner that its message was saved with, if it was.

    SMS, RCS and Messenger were once read as WhatsApp: such messages keep their contact when they
    are read again.
    """
    if not isinstance(event, MessageReceived) or not event.owners:
        return event
    owner = owners.get(id_of(delivery, event))
    if owner is None:
        return event
    if scheme_of(event.owners[0]) in (WHATSAPP, scheme_of(owner)):
        return event
    return replace(event, owners=(owner,) if owner else ())


def _message(received: _Received, contacts: Mapping[str, UUID]) -> Message:
    id, delivery, event = received
    customer = ""
    if event.owners:
        customer = event.owners[0]
    return Message(
        id=id,
        provider=provider_of(delivery.endpoint).name,
        account=event.account,
        provider_message_id=event.provider_message_id,
        contact_id=contacts.get(customer),
        direction=event.direction,
        origin=event.origin,
        owner=event.sender,
        group_id=event.group_id,
        business=event.business[:200],
        kind=event.kind[:32],
        text=event.text,
        payload=event.payload,
        refers_to=event.refers_to,
        errors=event.errors,
        occurred_at=event.occurred_at,
        time_assumed=event.time_assumed,
        received_at=delivery.received_at,
        delivery=delivery,
        raw=dict(event.raw),
    )


def status_id_of(delivery: Delivery, event: StatusChanged) -> UUID:
    """The id of the status's own row. In a group each participant has a row."""
    participant: tuple[str, ...] = ()
    if event.group_id and event.recipient:
        participant = (event.recipient,)
    return computed_id(
        "status",
        provider_of(delivery.endpoint).name,
        event.account,
        event.provider_message_id,
        event.status,
        *participant,
    )


def _status(delivery: Delivery, event: StatusChanged) -> MessageStatus:
    return MessageStatus(
        id=status_id_of(delivery, event),
        message_id=id_of(delivery, event),
        status=event.status[:32],
        rank=status_rank(event.status),
        provider_message_id=event.provider_message_id,
        recipient=event.recipient,
        group_id=event.group_id,
        category=event.category,
        occurred_at=event.occurred_at,
        error=event.error,
        reference=event.reference,
    )


def file_ids_of(delivery: Delivery, event: Event) -> list[UUID]:
    """The ids of the files that the event announces."""
    if not isinstance(event, MessageReceived):
        return []
    received = _Received(id_of(delivery, event), delivery, event)
    return [announcement.id for announcement in _announcements(received)]


def _announcements(received: _Received) -> list[Announcement]:
    _, delivery, event = received
    return [
        Announcement(
            source=provider_of(delivery.endpoint).name,
            account=event.account,
            provider_media_id=media.provider_media_id,
            provider_message_id=event.provider_message_id,
            position=position,
            owner=event.sender or UNKNOWN_OWNER,
            occurred_at=event.occurred_at,
            time_assumed=event.time_assumed,
            announced_at=delivery.received_at,
            content_type=media.content_type,
            sha256=media.sha256,
            size=media.size,
            filename=media.filename,
            url=media.url,
            expires_at=event.media_expires_at,
            not_passed_on=media.not_passed_on,
        )
        for position, media in enumerate(event.media)
    ]
