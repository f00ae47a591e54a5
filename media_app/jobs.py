"""RQ's entry points, and the one place that queues them. A job is a permit to work, not an
order.
"""

from __future__ import annotations

import logging
import time

from django.db import close_old_connections

from media_app import hints, public_copies
from media_app.failpoints import reached
from media_app.ingest import DEADLINE_SECONDS, ingest_next
from media_app.models import Media
from media_app.previews import (
    CutOffError,
    OriginalLostError,
    PreviewError,
    can_preview,
    make_previews,
    waiting,
)
from media_app.purge import purge_deleted
from media_app.serving import revive_lost
from media_app.storage import StorageError

PURGE = "media_app.jobs.purge"
SYNC_PUBLIC_COPIES = "media_app.jobs.sync_public_copies"
MAKE_PREVIEW = "media_app.jobs.make_preview"
# The most files that are queued at a time.
PERMITS = 1000
# The most previews that are queued at a time.
QUEUED_PREVIEWS = 50
PREVIEW_TIMEOUT_SECONDS = 120

# As fast as one worker begins with files; all together, as many times that as there are workers.
FILES_PER_SECOND = 20
_next_turn = 0.0

log = logging.getLogger(__name__)

# RQ's own time-out is the last resort, behind the deadline of the transfer.
TIMEOUT_SECONDS = DEADLINE_SECONDS + 60


def ingest() -> None:
    """Fetch one file: whichever is the most urgent when the permit is used."""
    close_old_connections()
    _pace()
    media = ingest_next()
    if media is not None and can_preview(media):
        queue_previews()
    # A permit fetches what is the most urgent, perhaps a file that has not got its own yet and
    # then never gets one. Whoever takes the last permit looks whether another is left without.
    if (
        media is not None
        and hints.waiting("ingest") == 0
        and Media.objects.due().exists()
    ):
        _permit(1)


def _pace() -> None:
    """Hold this worker to its rate: a provider that comes back is not stormed by all that waited
    for it.
    """
    global _next_turn
    now = time.monotonic()
    time.sleep(min(max(_next_turn - now, 0.0), 1 / FILES_PER_SECOND))
    _next_turn = max(_next_turn, now) + 1 / FILES_PER_SECOND


def make_preview(_media_id: str = "") -> None:
    """Make the previews of the file that has waited longest for them, before anybody looks at it.

    Jobs that earlier releases queued name a file; it waits like all others.
    """
    close_old_connections()
    media = waiting.claim()
    if media is None:
        return
    error = ""
    try:
        if can_preview(media):
            make_previews(media)
    except StorageError as failure:
        waiting.postpone(media)
        log.warning(
            "no preview yet", extra={"media": str(media.id), "error": str(failure)}
        )
        return
    except CutOffError as failure:
        waiting.retry(media)
        log.warning(
            "no preview yet", extra={"media": str(media.id), "error": str(failure)}
        )
        return
    except PreviewError as failure:
        error = str(failure)
        log.info("no preview", extra={"media": str(media.id), "error": error})
        if isinstance(failure, OriginalLostError):
            revive_lost(media)
    waiting.mark_done(media, error)


def purge() -> None:
    """Remove what was deleted."""
    close_old_connections()
    hints.taken_up(PURGE)
    # Their public copies go as well, by a job of their own: neither waits for the other's bucket.
    wake_public_copies()
    purge_deleted()


def wake_purge() -> bool:
    """Tell a worker that files were deleted."""
    return hints.give_once("ingest", PURGE)


def sync_public_copies() -> None:
    """Make copies of public files, and remove those of files that no longer are."""
    close_old_connections()
    hints.taken_up(SYNC_PUBLIC_COPIES)
    if public_copies.sync() == public_copies.FILES_PER_JOB:
        wake_public_copies()


def wake_public_copies() -> bool:
    """Tell a worker that files were marked public or private."""
    return hints.give_once("ingest", SYNC_PUBLIC_COPIES)


def queue_due() -> int:
    """Give a permit for each due file that has none; returns how many. Nothing is lost when Redis
    is down.

    There are never more than PERMITS at a time: after an outage the backlog moves up as
    workers take it, the most urgent first, and workers that are away find no heap of old permits.
    """
    # Redis is asked first: without it no row is written in vain.
    room = hints.room("ingest", PERMITS)
    ids = Media.objects.take_unqueued(room) if room else []
    reached("queue_after_take")
    if ids and not _permit(len(ids)):
        Media.objects.all().unqueue(ids)
        return 0
    return len(ids)


def queue_previews() -> int:
    """See to it that a job waits for each file without previews; returns how many were added.

    The queue never holds more than QUEUED_PREVIEWS: the others wait in the database.
    """
    due = waiting.due()[:QUEUED_PREVIEWS].values_list("id")
    missing = hints.room("previews", len(due))
    if not missing:
        return 0
    is_queued = hints.give(
        "previews", MAKE_PREVIEW, times=missing, timeout=PREVIEW_TIMEOUT_SECONDS
    )
    return missing if is_queued else 0


def _permit(files: int) -> bool:
    return hints.give(
        "ingest", "media_app.jobs.ingest", times=files, timeout=TIMEOUT_SECONDS
    )
