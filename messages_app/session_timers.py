"""What the sweeper does with sessions: expire silent ones, check unsettled ones again."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from messages_app.conversations import conversation_of
from messages_app.models import Delivery, PhotoSession, SessionRebuild
from messages_app.rebuilds import with_lock
from messages_app.session_replies import queue_corrections
from messages_app.session_rows import rebuild_sessions

# The sessions of one pass; the next pass goes on with the others.
SESSIONS_PER_PASS = 200


def expire_silent() -> int:
    """End the open sessions without a message for SESSION_TTL_SECONDS. Returns how many.

    None ends while an older delivery is unread.
    """
    silent_since = Now() - timedelta(seconds=settings.SESSION_TTL_SECONDS)
    silent = PhotoSession.objects.filter(
        state__in=PhotoSession.OPEN,
        last_at__lt=silent_since,
        last_received_at__lt=silent_since,
    )
    ended = 0
    for row in _next(silent):
        if not Delivery.objects.due().exists():
            ended += with_lock(row, _expire)
    return ended


def _expire(row: PhotoSession) -> None:
    rebuild_sessions(conversation_of(row), row.started_at, may_expire=True)


def recheck_unsettled() -> int:
    """Correct what was said of sessions some of whose photos were on their way. Returns how many
    were checked.
    """
    unsettled = PhotoSession.objects.filter(is_settled=False)
    return sum(with_lock(row, queue_corrections) for row in _next(unsettled))


def _next(sessions: QuerySet[PhotoSession]) -> list[PhotoSession]:
    """Those of this pass: in turn, and none whose conversation waits to be rebuilt."""
    waiting = SessionRebuild.objects.ready().filter(contact=OuterRef("contact"))
    in_turn = sessions.filter(~Exists(waiting)).order_by("looked_at", "id")
    rows = list(in_turn[:SESSIONS_PER_PASS])
    # Committed first: a session that kills its process is the last one of the next pass.
    PhotoSession.objects.filter(id__in=[row.id for row in rows]).update(looked_at=Now())
    return rows
