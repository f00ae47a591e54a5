"""The replies and hand-overs that a session causes, as items of the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import Q

from media_app.identity import computed_id
from media_app.inserts import insert_once
from messages_app.conversations import conversation_of
from messages_app.models import OutboxItem, PhotoSession, SessionRebuild
from messages_app.session_history import is_photo
from messages_app.session_state import Session
from messages_app.summaries import Summary, essence, summarize
from messages_app.timing import CORRECTION_DELAY

Kind = OutboxItem.Kind
# The replies that say how many photos there are …
COUNTING_REPLIES = (Kind.QUESTION, Kind.SUBMITTED, Kind.CORRECTION)
# … and the states in which the contact was told.
COUNTED_STATES = (PhotoSession.State.AWAITING_DETAILS, PhotoSession.State.SUBMITTED)


def save_replies(row: PhotoSession, session: Session) -> None:
    """Add the replies of a rebuilt session to the outbox, and delete those that have become
    pointless before they were sent.
    """
    items = [
        OutboxItem(
            id=computed_id(str(row.id), pending.reply, pending.cause),
            session=row,
            kind=pending.reply,
            place=place,
            caused_at=pending.caused_at,
        )
        for place, pending in enumerate(session.replies)
    ]
    insert_once(items, no_op_update="kind")
    # These come from ``queue_corrections``, not from the session.
    corrected = {
        Kind.CORRECTION: COUNTED_STATES,
        Kind.HAND_OVER: (PhotoSession.State.SUBMITTED,),
    }
    still_valid = [kind for kind, states in corrected.items() if row.state in states]
    # A hand-over that was tried may have arrived.
    pointless = row.outbox.filter(
        ~Q(kind=Kind.HAND_OVER) | Q(attempts=0), state=OutboxItem.State.QUEUED
    )
    pointless = pointless.exclude(kind__in=still_valid)
    pointless.exclude(id__in=[item.id for item in items]).delete()


def queue_corrections(row: PhotoSession) -> None:
    """Add to the outbox a correction where the last reply has become wrong, and a new revision
    where the last hand-over has. Notes whether the session is settled.

    Called under the contact's lock.
    """
    items = list(row.outbox.all())
    summary = summarize(row)
    row.is_settled = summary.counts.on_their_way == 0
    PhotoSession.objects.filter(id=row.id).update(is_settled=row.is_settled)
    if not all(is_photo(photo.media) for photo in summary.photos):
        # A file that was announced as a photo is stored, and is none.
        SessionRebuild.objects.create(
            **asdict(conversation_of(row)), since=row.started_at
        )
    _correct(row, items, summary.counts.photos)
    if settings.SESSION_WEBHOOK_URL:
        _hand_over(row, items, summary)


def _hand_over(
    row: PhotoSession, items: Sequence[OutboxItem], summary: Summary
) -> None:
    """Add the next revision for the business to the outbox, where it differs from the last one.

    The business is also told that a session which it has was cancelled after all.
    """
    hand_overs = [item for item in items if item.kind == Kind.HAND_OVER]
    last = max(hand_overs, key=lambda item: item.revision, default=None)
    if last is None:
        if row.state == PhotoSession.State.SUBMITTED:
            add_hand_over(row, 1)
        return
    # A revision that is not rendered yet will contain what is true when it is sent.
    if last.said and essence(last.said) != essence(summary.as_data(0)):
        add_hand_over(row, last.revision + 1)


def add_hand_over(row: PhotoSession, revision: int) -> None:
    """Add this revision of the session to the outbox, for the business."""
    item = OutboxItem(
        id=computed_id(str(row.id), Kind.HAND_OVER, str(revision)),
        session=row,
        kind=Kind.HAND_OVER,
        revision=revision,
        place=revision,
        caused_at=row.last_received_at,
    )
    insert_once([item], no_op_update="kind")


def _correct(row: PhotoSession, items: Sequence[OutboxItem], photos: int) -> None:
    if row.state not in COUNTED_STATES:
        return
    counting = [item for item in items if item.kind in COUNTING_REPLIES]
    if any(item.state == OutboxItem.State.QUEUED for item in counting):
        return
    sent = [
        item
        for item in counting
        if item.sending_at and item.state != OutboxItem.State.FAILED
    ]
    last = max(sent, key=_sending_at, default=None)
    if last is not None and last.said.get("photos") != photos:
        item = OutboxItem(
            id=computed_id(str(row.id), Kind.CORRECTION, str(last.id)),
            session=row,
            kind=Kind.CORRECTION,
            place=max(item.place for item in items) + 1,
            caused_at=row.last_received_at,
            not_before=_sending_at(last) + CORRECTION_DELAY,
        )
        insert_once([item], no_op_update="kind")


def _sending_at(item: OutboxItem) -> datetime:
    return item.sending_at or datetime.min.replace(tzinfo=UTC)
