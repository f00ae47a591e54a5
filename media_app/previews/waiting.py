"""Which stored files wait for previews. A worker claims one before it decodes it: a crash counts as
an attempt.

A file whose previews are not due has them, or ``preview_error`` says why not, or they were never
requested.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from media_app.models import Media, MediaQuerySet
from media_app.timing import PREVIEW_LEASE, PREVIEW_RETRY_PAUSE

# After so many attempts that were cut off no more are made until staff request them.
MAX_ATTEMPTS = 3
CUT_OFF = f"each of {MAX_ATTEMPTS} attempts was cut off: the decoder took too long, or was stopped"


def due() -> MediaQuerySet:
    """Stored files whose previews a worker may make now."""
    # What was cut off before comes after all others: it may take long again.
    return Media.objects.filter(
        state=Media.State.STORED, preview_due_at__lte=Now()
    ).order_by("preview_attempts", "preview_due_at")


def claim() -> Media | None:
    """The file that has waited longest, claimed for PREVIEW_LEASE with its attempt counted; None
    when none is due.

    Files whose attempts are used up are given up first.
    """
    while True:
        with transaction.atomic():
            media = due().select_for_update(skip_locked=True).first()
            if media is None:
                return None
            if media.preview_attempts < MAX_ATTEMPTS:
                _of(media).update(
                    preview_due_at=Now() + PREVIEW_LEASE,
                    preview_attempts=F("preview_attempts") + 1,
                )
                return media
            mark_done(media, CUT_OFF)


def request(media: Media) -> bool:
    """A preview is requested that is not made: let a worker make it. False where nothing changed.

    That is so while it is due already, and after it was given up.
    """
    return _request(_of(media).filter(preview_error="")) == 1


def request_again(files: QuerySet[Media]) -> int:
    """Staff request previews of files that were given up. Returns how many."""
    return _request(
        Media.objects.filter(id__in=files.values("id")).exclude(preview_error="")
    )


def _request(files: MediaQuerySet) -> int:
    wanted = files.filter(state=Media.State.STORED, preview_due_at=None)
    return wanted.update(preview_due_at=Now(), preview_attempts=0, preview_error="")


def mark_done(media: Media, error: str = "") -> None:
    """No worker makes these previews any more: they are made, or ``error`` says why they can't
    be.
    """
    _of(media).update(preview_due_at=None, preview_error=error)


def postpone(media: Media) -> None:
    """The storage failed, not the file: try again later; the attempt does not count."""
    _of(media).update(
        preview_due_at=Now() + PREVIEW_RETRY_PAUSE,
        preview_attempts=F("preview_attempts") - 1,
    )


def retry(media: Media) -> None:
    """The decoder was cut off, perhaps not by the file: try again later; the attempt counts."""
    _of(media).update(preview_due_at=Now() + PREVIEW_RETRY_PAUSE)


def _of(media: Media) -> MediaQuerySet:
    return Media.objects.filter(id=media.id)
