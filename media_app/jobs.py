"""RQ's entry points, and the one place that queues them. A fetch job fetches the most urgent file
that is due, whichever file it was queued for.
"""

from __future__ import annotations

import logging

from django.db import close_old_connections

from media_app import public_copies, queues, rate
from media_app.failpoints import failpoint
from media_app.ingest import ingest_next
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
from media_app.timing import FETCH_JOB_SECONDS, PREVIEW_JOB_SECONDS

INGEST = "media_app.jobs.ingest"
PURGE = "media_app.jobs.purge"
SYNC_PUBLIC_COPIES = "media_app.jobs.sync_public_copies"
MAKE_PREVIEW = "media_app.jobs.make_preview"

MAX_QUEUED_FETCH_JOBS = 1000
MAX_QUEUED_PREVIEW_JOBS = 50

log = logging.getLogger(__name__)


def ingest() -> None:
    """Fetch one file: the most urgent one when the job runs."""
    close_old_connections()
    rate.wait_for_turn()
    media = ingest_next()
    if media is None:
        return
    if can_preview(media):
        enqueue_previews()
    # The file may be one whose own job is not queued yet, and then never is. Then a due file is
    # left without a job: the last job in the queue looks for it.
    is_last = queues.waiting("ingest") == 0
    if is_last and Media.objects.due().exists():
        _enqueue_fetch_jobs(1)


def make_preview(_media_id: str = "") -> None:
    """Make the previews of the file that has waited longest for them.

    Jobs of earlier releases name a file; it waits like all others.
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
        _log_no_preview_yet(media, failure)
        return
    except CutOffError as failure:
        waiting.retry(media)
        _log_no_preview_yet(media, failure)
        return
    except PreviewError as failure:
        error = str(failure)
        log.info("no preview", extra={"media": str(media.id), "error": error})
        if isinstance(failure, OriginalLostError):
            revive_lost(media)
    waiting.mark_done(media, error)


def _log_no_preview_yet(media: Media, error: Exception) -> None:
    log.warning("no preview yet", extra={"media": str(media.id), "error": str(error)})


def purge() -> None:
    """Remove the objects of deleted files."""
    close_old_connections()
    queues.started(PURGE)
    # A job of its own removes their public copies: neither waits for the other's bucket.
    enqueue_public_copies()
    purge_deleted()


def sync_public_copies() -> None:
    """Make copies of public files, and remove those of files that are private now."""
    close_old_connections()
    queues.started(SYNC_PUBLIC_COPIES)
    if public_copies.sync() == public_copies.FILES_PER_JOB:
        enqueue_public_copies()


def enqueue_purge() -> bool:
    """Queue the job for deleted files. False when Redis takes none."""
    return queues.enqueue_once("ingest", PURGE)


def enqueue_public_copies() -> bool:
    """Queue the job for files that were marked public or private. False when Redis takes none."""
    return queues.enqueue_once("ingest", SYNC_PUBLIC_COPIES)


def enqueue_fetches() -> int:
    """Queue a job for each due file that has none; returns how many. Nothing is lost when Redis is
    down.

    The queue never holds more than MAX_QUEUED_FETCH_JOBS: the others wait in the database, and
    follow as workers do the jobs, the most urgent first.
    """
    # Redis is asked first: without it no row is written in vain.
    room = queues.room("ingest", MAX_QUEUED_FETCH_JOBS)
    ids = Media.objects.claim_unqueued(room) if room else []
    failpoint("queue_after_take")
    if ids and not _enqueue_fetch_jobs(len(ids)):
        Media.objects.all().unqueue(ids)
        return 0
    return len(ids)


def enqueue_previews() -> int:
    """Queue a job for each file without previews, where none waits; returns how many.

    The queue never holds more than MAX_QUEUED_PREVIEW_JOBS: the others wait in the database.
    """
    due = waiting.due()[:MAX_QUEUED_PREVIEW_JOBS].values_list("id")
    needed = queues.room("previews", len(due))
    if not needed:
        return 0
    is_queued = queues.enqueue(
        "previews", MAKE_PREVIEW, times=needed, timeout=PREVIEW_JOB_SECONDS
    )
    return needed if is_queued else 0


def _enqueue_fetch_jobs(number: int) -> bool:
    return queues.enqueue("ingest", INGEST, times=number, timeout=FETCH_JOB_SECONDS)
