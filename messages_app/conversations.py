"""Sessions follow what was said: rebuilt from new messages, ended by silence or by staff, looked at
until settled.

Messages and files are committed first, with a SessionRebuild for each conversation; its sessions
are rebuilt in a transaction of their own. A session that raises stops no other: it is logged, shown
to staff, and rebuilt later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from rq.timeouts import BaseTimeoutException

from media_app.clock import database_now
from media_app.database_errors import described, is_connection_lost
from media_app.failpoints import reached
from messages_app.models import (
    Attachment,
    Contact,
    Delivery,
    Message,
    PhotoSession,
    SessionRebuild,
)
from messages_app.session_rows import (
    SHOWN,
    SPOKEN,
    Line,
    is_photo,
    line_of,
    refold,
    review,
    rules,
)
from messages_app.sessions import GRACE, may_begin

log = logging.getLogger(__name__)

# A run takes no more conversations after this time: who rebuilds has other duties.
REBUILD_SECONDS = 10.0
# So many conversations are taken at a time to be rebuilt.
REBUILT_AT_ONCE = 50
LONG_AGO = datetime.min.replace(tzinfo=UTC)
FOR_EVER = datetime.max.replace(tzinfo=UTC)
# So many sessions are looked at in one pass of the sweeper; the next pass goes on with the others.
LOOKED_AT_ONCE = 200


# --- new messages -------------------------------------------------------------------------


def note(message_ids: Iterable[UUID]) -> None:
    """Mark the sessions that these new messages may change to be rebuilt, in the transaction that
    keeps them.

    Most messages change none: their contact has no open session, and what they say begins none.
    """
    ids = list(message_ids)
    new = Message.objects.live().filter(
        id__in=ids, kind__in=SPOKEN, contact__isnull=False
    )
    said = _said(new) + _said(_revoked(ids))
    until = _until({each.line.contact_id for each in said})
    since: dict[Line, datetime] = {}
    for each in said:
        if each.may_begin or each.at <= until.get(each.line, LONG_AGO):
            since[each.line] = min(since.get(each.line, each.at), each.at)
    rows = [_row(line, since[line]) for line in sorted(since)]
    files = Attachment.objects.filter(
        message__in=new.filter(kind__in=SHOWN)
    ).select_related("media")
    # Senders' programs announce pictures as application/octet-stream: those count once they are
    # stored.
    for file in [
        file for file in files if file.media.is_named and not is_photo(file.media)
    ]:
        rows += [
            _row(each.line, each.at, file)
            for each in _said(new.filter(id=file.message_id))
        ]
    SessionRebuild.objects.bulk_create(rows, batch_size=500)


@dataclass(frozen=True, slots=True)
class _New:
    """A new message, as far as it decides whether sessions are rebuilt."""

    line: Line
    at: datetime
    may_begin: bool


def _said(messages: QuerySet[Message]) -> list[_New]:
    names = (
        "contact_id",
        "provider",
        "account",
        "business",
        "occurred_at",
        "kind",
        "text",
        "payload",
    )
    return [
        _New(Line.of(contact, *line), at, _may_begin(text, payload, kind))
        for contact, *line, at, kind, text, payload in messages.values_list(*names)
        if contact
    ]


def _may_begin(text: str, payload: str, kind: str) -> bool:
    try:
        return may_begin(text, payload, kind in SHOWN, rules())
    except Exception:
        # Rules that can't be read cost no message: they fail again where its session is rebuilt,
        # and are shown.
        return True


def _revoked(message_ids: Sequence[UUID]) -> QuerySet[Message]:
    """The messages that these take back."""
    revokes = Message.objects.live().filter(
        id__in=message_ids, kind="revoke", contact__isnull=False
    )
    of_it = {name: OuterRef(name) for name in ("contact", "provider", "account")}
    taken_back = revokes.filter(**of_it, refers_to=OuterRef("provider_message_id"))
    ids = list(revokes.values_list("refers_to", flat=True))
    return Message.objects.live().filter(
        Exists(taken_back), provider_message_id__in=ids
    )


def _until(contacts: Collection[UUID]) -> dict[Line, datetime]:
    """Until when anything that is said may change a session, for each conversation that has any."""
    until: dict[Line, datetime] = {}
    # These first: a rebuild that is committed between the two queries has written its sessions by
    # the second.
    for row in SessionRebuild.objects.filter(contact__in=contacts):
        until[line_of(row)] = FOR_EVER
    sessions = PhotoSession.objects.filter(contact__in=contacts).order_by()
    lines = sessions.values_list(
        "contact_id", "provider", "account", "business"
    ).annotate(
        open=Count("id", filter=Q(state__in=PhotoSession.OPEN)),
        last=Max("last_at"),
        ended=Max("ended_at"),
    )
    for contact, provider, account, business, is_open, last_at, ended_at in lines:
        line = Line.of(contact, provider, account, business)
        end = FOR_EVER if is_open else max(last_at, ended_at or last_at) + GRACE
        until[line] = max(until.get(line, LONG_AGO), end)
    return until


def _row(
    line: Line, since: datetime, attachment: Attachment | None = None
) -> SessionRebuild:
    return SessionRebuild(**asdict(line), since=since, attachment=attachment)


def moved(old: UUID, chosen: UUID) -> None:
    """Two contacts turned out to be one person: their sessions are one conversation. In the
    caller's transaction.
    """
    SessionRebuild.objects.filter(contact_id=old).update(contact_id=chosen)
    sessions = PhotoSession.objects.filter(contact_id=old)
    # Two may have been open, and one contact has one: which it is, the fold of all their messages
    # says.
    sessions.filter(state__in=PhotoSession.OPEN).update(
        state=PhotoSession.State.CANCELLED
    )
    sessions.update(contact_id=chosen)
    since: dict[Line, datetime] = {}
    for row in PhotoSession.objects.filter(contact_id=chosen):
        line = line_of(row)
        since[line] = min(since.get(line, row.started_at), row.started_at)
    SessionRebuild.objects.bulk_create(
        _row(line, since[line]) for line in sorted(since)
    )


def rebuild(seconds: float = REBUILD_SECONDS) -> int:
    """Rebuild the sessions of conversations that are due, for so long; returns how many
    conversations.

    Raises django.db.Error only when the database fails as a whole: the rest stays due.
    """
    rebuilt, ends_at = 0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        with transaction.atomic():
            taken = SessionRebuild.take(REBUILT_AT_ONCE)
        if not taken:
            break
        reached("rebuild_after_take")
        lines: dict[Line, list[SessionRebuild]] = {}
        for row in taken:
            lines.setdefault(line_of(row), []).append(row)
        rebuilt += sum(_rebuild(line, rows) for line, rows in lines.items())
    return rebuilt


def _rebuild(line: Line, rows: Sequence[SessionRebuild]) -> bool:
    mine = SessionRebuild.objects.filter(id__in=[row.id for row in rows])
    since = [
        row.since
        for row in rows
        if row.attachment is None or is_photo(row.attachment.media)
    ]
    try:
        with transaction.atomic():
            if since:
                refold(line, min(since))
            # Only those: one that was written meanwhile is about messages that we may not have
            # seen.
            mine.delete()
            reached("rebuild_before_commit")
    except BaseTimeoutException:
        raise
    except Contact.DoesNotExist:
        # It was merged into another one, and these rows with it.
        mine.retry_now()
        return False
    except Exception as error:
        mine.failed(_logged(error, line))
        return False
    return True


def _logged(error: Exception, line: Line) -> str:
    """Log that a conversation could not be rebuilt; what happened in a sentence for staff.

    Raises the error itself where the database is gone: then nothing is wrong with the conversation.
    """
    if isinstance(error, Error):
        if is_connection_lost(error):
            raise error
        # Not its text: a database quotes rows, with what people wrote.
        what, traceback = described(error), None
    else:
        what, traceback = type(error).__name__, error
    log.error(
        "sessions not rebuilt",
        exc_info=traceback,
        extra={"contact": str(line.contact_id), "error": what},
    )
    return f"Its sessions could not be rebuilt: {what}. The log has the details."


# --- in their own time --------------------------------------------------------------------


def expire() -> int:
    """End the open sessions whose contacts have been silent, unless something older is still
    unread. How many.
    """
    silent_since = Now() - timedelta(seconds=settings.SESSION_TTL_SECONDS)
    silent = PhotoSession.objects.filter(
        state__in=PhotoSession.OPEN,
        last_at__lt=silent_since,
        last_received_at__lt=silent_since,
    )
    ended = 0
    for row in _next_of(silent):
        if not Delivery.objects.due().exists():
            ended += alone(
                row, lambda row: refold(line_of(row), row.started_at, may_expire=True)
            )
    return ended


def settle() -> int:
    """Look again at sessions some of whose photos were on their way. How many."""
    return sum(
        alone(row, review)
        for row in _next_of(PhotoSession.objects.filter(is_settled=False))
    )


def _next_of(sessions: QuerySet[PhotoSession]) -> list[PhotoSession]:
    """Those to look at in this pass: round robin, and none whose conversation waits to be
    rebuilt.
    """
    waiting = SessionRebuild.objects.ready().filter(contact=OuterRef("contact"))
    rows = list(
        sessions.filter(~Exists(waiting)).order_by("looked_at", "id")[:LOOKED_AT_ONCE]
    )
    # Committed first: one that kills whoever looks at it is the last one next time.
    PhotoSession.objects.filter(id__in=[row.id for row in rows]).update(looked_at=Now())
    return rows


# --- one session --------------------------------------------------------------------------


def decide(row: PhotoSession, verb: PhotoSession.Verb) -> bool:
    """Staff close or cancel an open session; False when it is over already."""
    decided: list[SessionRebuild] = []

    def take(row: PhotoSession) -> None:
        if row.is_open:
            row.staff_verb, row.staff_at = verb, max(database_now(), row.last_at)
            row.save(update_fields=["staff_verb", "staff_at"])
            # A decision is kept like a message: whatever happens to the sessions, they follow.
            decided.append(
                SessionRebuild.objects.create(
                    **asdict(line_of(row)), since=row.started_at
                )
            )

    alone(row, take)
    for rebuild in decided:
        _rebuild(line_of(rebuild), [rebuild])
    return bool(decided)


def alone(row: PhotoSession, work: Callable[[PhotoSession], None]) -> bool:
    """Do something to a session while nobody else does, in a transaction of its own; nothing if it
    is gone.

    False, after an error: it is logged, and the session will be rebuilt.
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
        failed = SessionRebuild.objects.create(
            **asdict(line_of(row)), since=row.started_at, attempts=1
        )
        SessionRebuild.objects.filter(id=failed.id).failed(_logged(error, line_of(row)))
        return False
    return True
