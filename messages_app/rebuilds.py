"""Rebuild the sessions of conversations that have new messages, or a new decision of staff.

Messages and files are committed first, with a SessionRebuild for each conversation; its sessions
are rebuilt in a transaction of their own. An error in one session does not stop the others: it is
logged, shown to staff, and the session is rebuilt later.

The steps of a rebuild:

1. ``rebuild_requests.request_rebuilds`` creates the SessionRebuild, with the messages.
2. ``rebuild_due``, here, claims those that are due.
3. ``session_rows.rebuild_sessions`` locks the contact.
4. ``session_history`` reads messages, decisions of staff and rules from the first session on that
   may change.
5. ``sessions.sessions_of``, a pure function, makes the sessions of them.
6. ``session_rows`` saves them in their rows, and ``session_replies`` their replies and hand-overs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from django.db import Error, transaction
from rq.timeouts import BaseTimeoutException

from media_app.clock import database_now
from media_app.database_errors import described, is_connection_lost
from media_app.failpoints import failpoint
from messages_app.conversations import Conversation, conversation_of
from messages_app.models import Contact, PhotoSession, SessionRebuild
from messages_app.session_history import is_photo
from messages_app.session_rows import rebuild_sessions
from messages_app.timing import REBUILD_RUN_SECONDS

log = logging.getLogger(__name__)

# The number of rows that are claimed at a time.
BATCH = 50


def rebuild_due(seconds: float = REBUILD_RUN_SECONDS) -> int:
    """Rebuild the sessions of conversations that are due. Returns how many conversations.

    Begins no batch after ``seconds``. Raises django.db.Error only when the database fails as a
    whole: the rest stays due.
    """
    rebuilt, ends_at = 0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        with transaction.atomic():
            claimed = SessionRebuild.claim(BATCH)
        if not claimed:
            break
        failpoint("rebuild_after_take")
        by_conversation: dict[Conversation, list[SessionRebuild]] = {}
        for row in claimed:
            by_conversation.setdefault(conversation_of(row), []).append(row)
        for conversation, rows in by_conversation.items():
            rebuilt += _rebuild(conversation, rows)
    return rebuilt


def _rebuild(conversation: Conversation, rows: Sequence[SessionRebuild]) -> bool:
    claimed = SessionRebuild.objects.filter(id__in=[row.id for row in rows])
    # A file that has turned out to be no photo changes no session.
    since = [
        row.since
        for row in rows
        if row.attachment is None or is_photo(row.attachment.media)
    ]
    try:
        with transaction.atomic():
            if since:
                rebuild_sessions(conversation, min(since))
            # Only those: another row may be about messages that were not read here.
            claimed.delete()
            failpoint("rebuild_before_commit")
    except BaseTimeoutException:
        raise
    except Contact.DoesNotExist:
        # It was merged into another one, and these rows are that one's now: due at once.
        claimed.retry_now()
        return False
    except Exception as error:
        claimed.record_failure(_log(error, conversation))
        return False
    return True


def _log(error: Exception, conversation: Conversation) -> str:
    """Log that a conversation could not be rebuilt. Returns a sentence for staff.

    Raises the error itself where the database is gone: then nothing is wrong with the conversation.
    """
    cause = type(error).__name__
    traceback: Exception | None = error
    if isinstance(error, Error):
        if is_connection_lost(error):
            raise error
        # Without its text: a database quotes rows, with what people wrote.
        cause, traceback = described(error), None
    log.error(
        "sessions not rebuilt",
        exc_info=traceback,
        extra={"contact": str(conversation.contact_id), "error": cause},
    )
    return f"Its sessions could not be rebuilt: {cause}. The log has the details."


def close_or_cancel(row: PhotoSession, verb: PhotoSession.Verb) -> bool:
    """Staff close or cancel an open session; False when it is over already."""
    rebuild_rows: list[SessionRebuild] = []

    def save_decision(row: PhotoSession) -> None:
        if row.is_open:
            row.staff_verb, row.staff_at = verb, max(database_now(), row.last_at)
            row.save(update_fields=["staff_verb", "staff_at"])
            # Committed like a message: the sessions follow, also when the rebuild below fails.
            rebuild_row = SessionRebuild.objects.create(
                **asdict(conversation_of(row)), since=row.started_at
            )
            rebuild_rows.append(rebuild_row)

    with_lock(row, save_decision)
    for rebuild_row in rebuild_rows:
        _rebuild(conversation_of(rebuild_row), [rebuild_row])
    return bool(rebuild_rows)


def with_lock(row: PhotoSession, work: Callable[[PhotoSession], None]) -> bool:
    """Call ``work`` with the session's fresh row, under the contact's lock and in a transaction of
    its own; not at all if the session is gone.

    False after an error: it is logged, and a rebuild of the session is requested.
    """
    try:
        with transaction.atomic():
            Contact.objects.select_for_update().filter(sessions=row.id).first()
            fresh = PhotoSession.objects.filter(id=row.id).first()
            if fresh is not None:
                work(fresh)
    except BaseTimeoutException:
        raise
    except Exception as error:
        conversation = conversation_of(row)
        rebuild_row = SessionRebuild.objects.create(
            **asdict(conversation), since=row.started_at, attempts=1
        )
        SessionRebuild.objects.filter(id=rebuild_row.id).record_failure(
            _log(error, conversation)
        )
        return False
    return True
