"""From stored deliveries to events, and from events to the rows of messages, statuses and files.

Ids are computed: the rows do not depend on the order of events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from media_app.announce import Announcement, announce
from media_app.failpoints import failpoint
from media_app.identity import UNKNOWN_OWNER, WHATSAPP, computed_id, scheme_of
from media_app.inserts import insert_once
from messages_app import message_versions, outbox_results, rebuild_marks
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
    """Read a stored delivery."""
    raw = RawDelivery(
        endpoint=delivery.endpoint,
        content_type=delivery.content_type,
        query=delivery.query,
        body=bytes(delivery.body),
        received_at=delivery.received_at,
    )
    return provider_of(delivery.endpoint).read(raw)


def apply_events(pairs: Sequence[tuple[Delivery, Event]]) -> None:
    """Save what the events say, idempotently, in the caller's transaction."""
    new: dict[UUID, tuple[Delivery, MessageReceived]] = {}
    again: list[tuple[UUID, Delivery, MessageReceived]] = []
    statuses: dict[UUID, MessageStatus] = {}
    observations: list[SenderObservation] = []
    ids = {
        _message_id(delivery, event)
        for delivery, event in pairs
        if isinstance(event, MessageReceived)
    }
    owners = dict(Message.objects.filter(id__in=ids).values_list("id", "owner"))
    for delivery, event in pairs:
        if isinstance(event, MessageReceived):
            id = _message_id(delivery, event)
            event = _with_known_owner(event, owners.get(id))
            if id in owners or id in new:
                again.append((id, delivery, event))
            else:
                new[id] = (delivery, event)
        elif isinstance(event, StatusChanged):
            status = _status(delivery, event)
            statuses.setdefault(status.id, status)
        if observation := _observation(event):
            observations.append(observation)
    contacts = resolve(observations)
    rows = {
        id: _message(id, delivery, event, contacts) for id, delivery, event in again
    }
    rows |= {
        id: _message(id, delivery, event, contacts)
        for id, (delivery, event) in new.items()
    }
    # Known messages, too: whether the database accepts messages at all is tested by a delivery that
    # was read before.
    insert_once(list(rows.values()), unchanged="provider")
    insert_once(list(statuses.values()), unchanged="message_id")
    failpoint("inbox_between_messages")
    _attach(new)
    # Built only now: the insert has overwritten fields of the instances above with those of the
    # existing rows.
    message_versions.merge(
        [_report(id, delivery, event, contacts) for id, delivery, event in again]
    )
    outbox_results.apply_statuses(
        event for _, event in pairs if isinstance(event, StatusChanged)
    )
    rebuild_marks.mark_for_rebuild(new)


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


def _attach(messages: dict[UUID, tuple[Delivery, MessageReceived]]) -> None:
    """Announce the files of new messages."""
    announcements: list[Announcement] = []
    attachments: list[Attachment] = []
    for message_id, (delivery, event) in messages.items():
        for announcement in _announcements(delivery, event):
            announcements.append(announcement)
            attachments.append(
                Attachment(
                    message_id=message_id,
                    position=announcement.position,
                    media_id=announcement.id,
                )
            )
    announce(announcements, new={announcement.id for announcement in announcements})
    insert_once(attachments, unchanged="position", on=("message_id", "position"))


def _report(
    id: UUID, delivery: Delivery, event: MessageReceived, contacts: dict[str, UUID]
) -> message_versions.Report:
    return message_versions.Report(
        _message(id, delivery, event, contacts), tuple(_announcements(delivery, event))
    )


def _message_id(delivery: Delivery, event: MessageReceived | StatusChanged) -> UUID:
    return computed_id(
        provider_of(delivery.endpoint).name, event.account, event.provider_message_id
    )


def _with_known_owner(event: MessageReceived, owner: str | None) -> MessageReceived:
    """The event with the owner that its message was saved with, if it was.

    SMS, RCS and Messenger were once read as WhatsApp: such messages keep their contact when they
    are read again.
    """
    if owner is None or not event.owners:
        return event
    if scheme_of(event.owners[0]) in (WHATSAPP, scheme_of(owner)):
        return event
    return replace(event, owners=(owner,) if owner else ())


def _message(
    id: UUID, delivery: Delivery, event: MessageReceived, contacts: dict[str, UUID]
) -> Message:
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


def _status(delivery: Delivery, event: StatusChanged) -> MessageStatus:
    provider = provider_of(delivery.endpoint).name
    participant: tuple[str, ...] = ()
    if event.group_id and event.recipient:
        # In a group each participant has a row.
        participant = (event.recipient,)
    return MessageStatus(
        id=computed_id(
            "status",
            provider,
            event.account,
            event.provider_message_id,
            event.status,
            *participant,
        ),
        message_id=_message_id(delivery, event),
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


def _announcements(delivery: Delivery, event: MessageReceived) -> list[Announcement]:
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
            lost=media.lost,
        )
        for position, media in enumerate(event.media)
    ]
