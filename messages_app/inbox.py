"""Kept deliveries become contacts, messages, attachments and announced files.

One drainer at a time, in batches, one transaction a batch. The end state does not
depend on the order of deliveries: ids are computed, names and times only move forwards.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from uuid import UUID, uuid4

from django.db import Error, OperationalError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Length
from rq.timeouts import BaseTimeoutException

from media_app import jobs as media_jobs
from media_app.announce import Announcement, announce
from media_app.database_errors import described, is_beyond_limits, is_outage
from media_app.failpoints import reached
from media_app.identity import UNKNOWN_OWNER, WHATSAPP, computed_id, scheme_of
from media_app.inserts import insert_once
from messages_app import conversations, outbox, versions
from messages_app.contacts import Sighting, resolve
from messages_app.models import (
    Attachment,
    Delivery,
    DeliveryNotice,
    DrainLease,
    Message,
    MessageStatus,
    QuarantinedItem,
)
from messages_app.providers import RawDelivery, provider_of
from messages_app.providers.events import (
    ContactNamed,
    Event,
    MessageReceived,
    Noticed,
    OwnersLinked,
    StatusChanged,
    Unreadable,
)
from messages_app.providers.statuses import status_rank

log = logging.getLogger(__name__)

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024
# A delivery may hold more messages than a statement may have parameters.
KEPT_AT_ONCE = 1000
# So many different notices of one delivery are kept.
NOTICES = 50
# A delivery whose batches failed this often is taken alone, so that its neighbours live …
ALONE_FROM = 2
# … and after this many tries it is put aside for staff.
QUARANTINED_FROM = 5
# So many items of one delivery are put into quarantine one by one.
MAX_QUARANTINED = 100
# A run begins no batch after this time.
DRAIN_SECONDS = 10.0
# A transaction waits for a lock no longer than this (PostgreSQL).
LOCK_SECONDS = 60


@dataclass(slots=True)
class _Run:
    """What one run of a drainer knows."""

    ends_at: float
    read: int = 0
    #: After a batch failed for no clear reason each delivery comes alone: it shows which one it
    #: was.
    is_careful: bool = False
    #: Deliveries that failed alone for no clear reason. Each has one try in a run.
    suspects: set[str] = field(default_factory=set)
    is_database_fine: bool = False


def drain(seconds: float = DRAIN_SECONDS) -> int:
    """Read deliveries that are due; returns how many. Returns at once while another drainer is at
    work.

    Begins no batch after ``seconds``: who drains has other duties. Raises django.db.Error when the
    database fails: the rest stays due.
    """
    run = _Run(ends_at=time.monotonic() + seconds)
    while (token := DrainLease.take()) is not None:
        try:
            # First what a reader that died has left.
            _rebuild_sessions()
            _drain_under(token, run)
        finally:
            DrainLease.release(token)
        # What came between the last look and the release found the lease taken: look once more.
        if (
            time.monotonic() >= run.ends_at
            or not Delivery.objects.due().exclude(id__in=run.suspects).exists()
        ):
            break
    return run.read


def _drain_under(token: UUID, run: _Run) -> None:
    while batch := _next_batch(run):
        rows = Delivery.objects.filter(id__in=[delivery.id for delivery in batch])
        # Committed first: a reader that dies of a delivery has left its trace.
        rows.update(attempts=F("attempts") + 1)
        reached("inbox_after_count")
        try:
            with transaction.atomic():
                # Inside, so that nobody writes beside us, however long the batch takes.
                is_ours = DrainLease.renew(token)
                if is_ours:
                    _limit_lock_waits()
                    _read(batch)
                    reached("inbox_before_commit")
            if not is_ours:
                # It was never begun: no try of it.
                _uncount(rows)
                break
            reached("inbox_after_commit")
        except Exception as error:
            _account_for(error, batch, rows, run)
        else:
            run.read += len(batch)
            run.is_database_fine = True
        _rebuild_sessions()
        if time.monotonic() >= run.ends_at:
            break


def _account_for(
    error: Exception, batch: Sequence[Delivery], rows: QuerySet[Delivery], run: _Run
) -> None:
    """Decide whether the try counts against the batch. Raises the error where going on is of no
    use.
    """
    if is_outage(error):
        _uncount(rows)
        raise error
    if isinstance(error, BaseTimeoutException) or batch[0].attempts >= QUARANTINED_FROM:
        # The try counts. The job has no more time, or giving the delivery up did not work either.
        raise error
    if _is_unclear(error):
        if len(batch) > 1:
            _uncount(rows)
            run.is_careful = True
            return
        run.suspects.add(batch[0].id)
        run.is_database_fine = run.is_database_fine or _works_for_others(batch[0])
        if not run.is_database_fine:
            _uncount(rows)
            raise error
    _log(
        "a batch could not be kept",
        error,
        deliveries=[delivery.id for delivery in batch],
    )


def _is_unclear(error: Exception) -> bool:
    """Whether it may be the delivery's fault or the database's: a statement cut off, memory or disk
    run out, …
    """
    return (
        isinstance(error, OperationalError)
        and not is_outage(error)
        and not is_beyond_limits(error)
    )


def _works_for_others(suspect: Delivery) -> bool:
    """Whether the database takes as many bytes, and reads a delivery that was read before. Nothing
    of it stays.
    """
    known = (
        Delivery.objects.filter(state=Delivery.State.PROCESSED)
        .order_by("-received_at", "id")
        .first()
    )
    try:
        with transaction.atomic():
            Delivery.objects.create(
                id=uuid4().hex,
                endpoint=suspect.endpoint,
                body=suspect.body,
                state=Delivery.State.PROCESSED,
            )
            if known is not None:
                _keep(
                    [
                        (known, event)
                        for event in provider_of(known.endpoint).read(_raw(known))
                    ]
                )
            transaction.set_rollback(True)
    except Error:
        return False
    return True


def _limit_lock_waits() -> None:
    """Wait for no lock longer than LOCK_SECONDS: then it is known for a lock, long before the job's
    time is over.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Whoever set a limit of their own keeps it.
            unlimited = "current_setting('lock_timeout') = '0'"
            cursor.execute(
                f"SELECT set_config('lock_timeout', %s, true) WHERE {unlimited}",
                [f"{LOCK_SECONDS}s"],
            )


def _rebuild_sessions() -> None:
    """After the messages are committed, so that no message is lost by an error in its session."""
    if conversations.rebuild():
        outbox.wake()


def _uncount(rows: QuerySet[Delivery]) -> None:
    """Take back the try that was counted before; where even this can't be written, it counts after
    all.
    """
    # A replay may have set the count to 0 meanwhile.
    with suppress(Error):
        rows.filter(attempts__gt=0).update(attempts=F("attempts") - 1)


def _log(message: str, error: Exception, **extra: object) -> None:
    """With its traceback; but a database quotes rows, with people's numbers: of its errors only
    class and code.
    """
    if isinstance(error, Error):
        log.error("%s: %s", message, described(error), extra=extra)
    else:
        log.error(message, exc_info=error, extra=extra)


def _next_batch(run: _Run) -> list[Delivery]:
    """The oldest due deliveries, bounded in number and bytes; then those that failed before, each
    alone.
    """
    due = Delivery.objects.due().exclude(id__in=run.suspects)
    calm = (
        due.filter(attempts__lt=ALONE_FROM)
        .annotate(bytes=Length("body"))
        .values_list("id", "bytes")
    )
    rows = list(calm[: 1 if run.is_careful else BATCH])
    totals = accumulate(size for _, size in rows)
    ids = [
        id for (id, _), total in zip(rows, totals, strict=True) if total <= BATCH_BYTES
    ] or [id for id, _ in rows[:1]]
    if not ids:
        # The least tried first, so that each has its turn.
        ids = list(
            due.order_by("attempts", "received_at", "id").values_list("id", flat=True)[
                :1
            ]
        )
    return list(Delivery.objects.due().filter(id__in=ids))


def _read(batch: Sequence[Delivery]) -> None:
    events: dict[str, list[Event]] = {}
    for delivery in batch:
        if delivery.attempts >= QUARANTINED_FROM:
            error = (
                f"Given up after {delivery.attempts} tries: reading it stopped the reader "
                "each time."
            )
            events[delivery.id] = [Unreadable(path="", error=error)]
        else:
            events[delivery.id] = list(
                provider_of(delivery.endpoint).read(_raw(delivery))
            )
    alone = len(batch) == 1 and batch[0].attempts >= ALONE_FROM
    if alone:
        events = {batch[0].id: _keep_one_by_one(batch[0], events[batch[0].id])}
    else:
        pairs = [
            (delivery, event) for delivery in batch for event in events[delivery.id]
        ]
        for start in range(0, len(pairs), KEPT_AT_ONCE):
            _keep(pairs[start : start + KEPT_AT_ONCE])
    _conclude(batch, events)
    # The batch is kept by then: a hint that fails is the sweeper's to give.
    transaction.on_commit(_queue, robust=True)


def _queue() -> None:
    media_jobs.enqueue_fetches()
    outbox.wake()


def _keep_one_by_one(delivery: Delivery, events: Iterable[Event]) -> list[Event]:
    """Keep each event by itself; one that the database refuses turns Unreadable."""
    kept: list[Event] = []
    for index, event in enumerate(events):
        try:
            with transaction.atomic():
                _keep([(delivery, event)])
            kept.append(event)
        except Exception as error:
            if isinstance(error, BaseTimeoutException) or is_outage(error):
                raise
            # Before the whole delivery is given up, what of it can be kept is kept.
            is_last_try = delivery.attempts == QUARANTINED_FROM - 1
            if _is_unclear(error) and not (is_last_try and _works_for_others(delivery)):
                raise
            _log("an event could not be kept", error, delivery=delivery.id)
            reason = f"{_named(event)} could not be kept: {type(error).__name__}."
            kept.append(Unreadable(path=f"event[{index}]", error=reason))
    return kept


def _keep(pairs: Sequence[tuple[Delivery, Event]]) -> None:
    """Write what the events say, idempotently, in the caller's transaction."""
    new: dict[UUID, tuple[Delivery, MessageReceived]] = {}
    again: list[tuple[UUID, Delivery, MessageReceived]] = []
    statuses: dict[UUID, MessageStatus] = {}
    sightings: list[Sighting] = []
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
            sightings.append(
                Sighting(owners=event.owners, name=event.name, at=event.occurred_at)
            )
        elif isinstance(event, ContactNamed):
            sightings.append(
                Sighting(
                    owners=event.owners,
                    name=event.name,
                    at=event.named_at,
                    is_message=False,
                )
            )
        elif isinstance(event, StatusChanged):
            status = _status(delivery, event)
            statuses.setdefault(status.id, status)
        elif isinstance(event, OwnersLinked):
            sightings.append(Sighting(owners=event.owners))
    contacts = resolve(sightings)
    rows = {
        id: _message(id, delivery, event, contacts) for id, delivery, event in again
    }
    rows |= {
        id: _message(id, delivery, event, contacts)
        for id, (delivery, event) in new.items()
    }
    # Known ones, too: a database that takes none is found out by reading a delivery that was read
    # before.
    insert_once(list(rows.values()), unchanged="provider")
    insert_once(list(statuses.values()), unchanged="message_id")
    reached("inbox_between_messages")
    _attach(new)
    # Made only now: the insert has read back some fields of rows that were there.
    versions.merge(
        [_account(id, delivery, event, contacts) for id, delivery, event in again]
    )
    outbox.settle(event for _, event in pairs if isinstance(event, StatusChanged))
    conversations.note(new)


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
    announce(announcements, anew={announcement.id for announcement in announcements})
    insert_once(attachments, unchanged="position", on=("message_id", "position"))


def _account(
    id: UUID, delivery: Delivery, event: MessageReceived, contacts: dict[str, UUID]
) -> versions.Account:
    return versions.Account(
        _message(id, delivery, event, contacts), tuple(_announcements(delivery, event))
    )


def _conclude(batch: Sequence[Delivery], events: dict[str, list[Event]]) -> None:
    """Write down how each delivery ended, and what of it could not be read."""
    items: dict[UUID, QuarantinedItem] = {}
    read: list[str] = []
    for delivery in batch:
        unread = [
            event for event in events[delivery.id] if isinstance(event, Unreadable)
        ]
        if not unread:
            read.append(delivery.id)
            continue
        items |= {
            item.id: item
            for item in (_quarantined(delivery, event) for event in _first_of(unread))
        }
        whole = any(event.path == "" for event in unread)
        state = Delivery.State.FAILED if whole else Delivery.State.PARTIAL
        Delivery.objects.filter(id=delivery.id).update(
            state=state, last_error=unread[0].error
        )
    Delivery.objects.filter(id__in=read).update(
        state=Delivery.State.PROCESSED, last_error=""
    )
    _notice(batch, events)
    # What a replay could read now is no longer in quarantine.
    QuarantinedItem.objects.filter(delivery__in=batch).delete()
    QuarantinedItem.objects.bulk_create(items.values(), batch_size=500)


def _first_of(unread: Sequence[Unreadable]) -> list[Unreadable]:
    """As many as staff can look through, and one that says how many more there are."""
    more = sum(event.parts for event in unread[MAX_QUARANTINED:])
    if not more:
        return list(unread)
    error = f"{more:,} more parts of this delivery could not be read. Its body has them all."
    return [*unread[:MAX_QUARANTINED], Unreadable(path="more", error=error)]


def _notice(batch: Sequence[Delivery], events: dict[str, list[Event]]) -> None:
    """Count what became no message, by name, in place of what was counted when these were read
    before.
    """
    found: dict[UUID, DeliveryNotice] = {}
    for delivery in batch:
        noticed = Counter(
            event for event in events[delivery.id] if isinstance(event, Noticed)
        )
        for event, times in noticed.most_common(NOTICES):
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


def _named(event: Event) -> str:
    return (
        f"Message {event.provider_message_id}"
        if isinstance(event, MessageReceived)
        else type(event).__name__
    )


def _raw(delivery: Delivery) -> RawDelivery:
    return RawDelivery(
        endpoint=delivery.endpoint,
        content_type=delivery.content_type,
        query=delivery.query,
        body=bytes(delivery.body),
        received_at=delivery.received_at,
    )


def _message_id(delivery: Delivery, event: MessageReceived | StatusChanged) -> UUID:
    return computed_id(
        provider_of(delivery.endpoint).name, event.account, event.provider_message_id
    )


def _with_known_owner(event: MessageReceived, owner: str | None) -> MessageReceived:
    """The event with the owner that its message was kept with, if it was.

    SMS, RCS and Messenger were once read as WhatsApp: such messages keep their contact when they
    are read again.
    """
    if (
        owner is None
        or not event.owners
        or scheme_of(event.owners[0]) in (WHATSAPP, scheme_of(owner))
    ):
        return event
    return replace(event, owners=(owner,) if owner else ())


def _message(
    id: UUID, delivery: Delivery, event: MessageReceived, contacts: dict[str, UUID]
) -> Message:
    customer = event.owners[0] if event.owners else ""
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
    # Of a group each participant has a row.
    participant = (event.recipient,) if event.group_id and event.recipient else ()
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
