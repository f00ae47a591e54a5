"""Which stored files wait for previews. A worker claims one before it decodes it: a crash counts as an attempt."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from media_app.models import Media
from media_app.models.media import MediaQuerySet

# A worker that dies while it decodes a file frees it after this; longer than a job may take.
LEASE = timedelta(minutes=3)
# Decoding a damaged file may kill its worker. After so many deaths only a viewer's request tries again.
MOST_ATTEMPTS = 3
# While the storage is down.
RETRY_AFTER = timedelta(minutes=5)
WORKER_LOST = "The worker was lost each time it made the previews."


def due() -> MediaQuerySet:
    """Stored files whose previews a worker may make now."""
    return Media.objects.filter(state=Media.State.STORED, preview_due_at__lte=Now()).order_by("preview_due_at")


def claim() -> Media | None:
    """The file that has waited longest, held for LEASE with its attempt counted; None when none is due.

    Files whose attempts are used up are given up on the way.
    """
    while True:
        with transaction.atomic():
            media = due().select_for_update(skip_locked=True).first()
            if media is None:
                return None
            if media.preview_attempts < MOST_ATTEMPTS:
                _of(media).update(preview_due_at=Now() + LEASE, preview_attempts=F("preview_attempts") + 1)
                return media
            mark_done(media, WORKER_LOST)


def mark_done(media: Media, error: str = "") -> None:
    """No worker makes these previews any more: they are made, or ``error`` says why they can't be."""
    _of(media).update(preview_due_at=None, preview_error=error)


def postpone(media: Media) -> None:
    """The storage failed, not the file: try again later; the attempt does not count."""
    _of(media).update(preview_due_at=Now() + RETRY_AFTER, preview_attempts=F("preview_attempts") - 1)


def _of(media: Media) -> MediaQuerySet:
    return Media.objects.filter(id=media.id)
