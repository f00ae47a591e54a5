"""Rebuild the session rows of a conversation, in one transaction under the contact's lock.

Rebuilding once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from media_app import jobs as media_jobs
from media_app.identity import computed_id
from media_app.models import Media
from messages_app.conversations import Conversation
from messages_app.models import Attachment, Contact, OutboxItem, PhotoSession
from messages_app.session_history import (
    messages_since,
    rules,
    staff_decision,
    start_of_history,
)
from messages_app.session_replies import queue_corrections, save_replies
from messages_app.session_state import Session
from messages_app.sessions import sessions_of


def rebuild_sessions(
    conversation: Conversation, since: datetime, *, may_expire: bool = False
) -> None:
    """Rebuild the sessions that messages from ``since`` on may change, and their replies."""
    now = (
        Contact.objects.select_for_update()
        .values_list(Now(), flat=True)
        .get(id=conversation.contact_id)
    )
    known = PhotoSession.objects.filter(**conversation.fields)
    start = start_of_history(conversation, since)
    rows = list(known.filter(started_at__gte=start).order_by("started_at", "id"))
    decisions = [staff_decision(row) for row in rows if row.staff_verb]
    history = [*messages_since(conversation, start), *decisions]
    # A cancelled row without an end is no session any more (see ``_void``).
    previous = (
        known.filter(started_at__lt=start, ended_at__isnull=False)
        .order_by("-started_at")
        .first()
    )
    last_at_of_expired = None
    if previous is not None and previous.state == PhotoSession.State.EXPIRED:
        last_at_of_expired = previous.last_at
    sessions = sessions_of(
        history,
        rules(),
        now=now,
        may_expire=may_expire,
        last_at_of_expired=last_at_of_expired,
    )
    _save_all(conversation, sessions, rows)


def _save_all(
    conversation: Conversation,
    sessions: Sequence[Session],
    rows: Sequence[PhotoSession],
) -> None:
    """Save each session in its row: the one whose anchor is among its messages. An open one is
    saved last.
    """
    left = list(rows)
    for session in sorted(sessions, key=lambda session: session.is_open):
        messages = set(session.messages)
        # The business and the contact know it by the row in the most advanced state.
        own = sorted((row for row in left if row.anchor_id in messages), key=_progress)
        left = [row for row in left if row not in own]
        for merged in own[1:]:
            _void(merged)
        if session.is_open:
            # A contact has one open session: the other rows are not sessions.
            for other in left:
                _void(other)
            left = []
        if own:
            row = own[0]
        else:
            row = _new_row(conversation, session)
        _save(row, session)
        save_replies(row, session)
        queue_corrections(row)
        if row.is_reset:
            _delete_files(row)
    for row in left:
        _void(row)


def _progress(row: PhotoSession) -> int:
    """A sort key: submitted rows first, then those that await details, then all others."""
    order: list[str] = [
        PhotoSession.State.SUBMITTED,
        PhotoSession.State.AWAITING_DETAILS,
    ]
    if row.state in order:
        return order.index(row.state)
    return len(order)


def _new_row(conversation: Conversation, session: Session) -> PhotoSession:
    return PhotoSession(
        id=computed_id("session", str(session.first.id)),
        anchor_id=session.first.id,
        **conversation.fields,
    )


def _save(row: PhotoSession, session: Session) -> None:
    row.owner = session.last.owner
    row.business = session.last.business
    row.state = session.state
    row.is_reset = session.is_reset
    row.is_unanswered = session.is_unanswered
    row.started_at = session.first.at
    row.last_at = session.last.at
    row.last_received_at = session.last.received_at
    row.done_at = session.done_at
    row.ended_at = session.ended_at
    row.details = session.details
    row.message_ids = [str(id) for id in session.messages]
    row.media_ids = [str(photo.id) for photo in session.current_photos]
    row.is_settled = False
    row.save()


def _void(row: PhotoSession) -> None:
    """Empty a row that is not a session: an older message has shown that its messages belong to
    another one. It stays as CANCELLED without ``ended_at``: the business may know its id.
    """
    row.state, row.ended_at = PhotoSession.State.CANCELLED, None
    row.message_ids, row.media_ids = [], []
    row.save(update_fields=["state", "ended_at", "message_ids", "media_ids"])
    row.outbox.filter(state=OutboxItem.State.QUEUED).delete()
    queue_corrections(row)


def _delete_files(row: PhotoSession) -> None:
    """As its contact asked: all files of this session's messages that were sent nowhere else. A
    hold keeps them.
    """
    if Contact.objects.get(id=row.contact_id).is_held:
        return
    sent = Attachment.objects.filter(message_id__in=row.message_ids).values("media_id")
    elsewhere = Attachment.objects.filter(media_id=OuterRef("id")).exclude(
        message_id__in=row.message_ids
    )
    if Media.objects.filter(~Exists(elsewhere), id__in=sent).mark_deleted(
        "Its sender asked for it by RESET."
    ):
        transaction.on_commit(media_jobs.enqueue_purge, robust=True)
