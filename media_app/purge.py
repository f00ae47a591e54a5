"""Removing the objects of deleted files: repeatable, and tolerant of a storage that fails in between."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from media_app.models import Media
from media_app.previews import SIZES, preview_key
from media_app.storage import DeleteError, StorageError, media_storage

log = logging.getLogger(__name__)

# Files at a time, three objects each. Their rows are locked as long as the storage takes, and SQLite has one lock.
BATCH = 100


def purge_deleted() -> int:
    """Remove the objects and previews of all deleted files; returns how many. What fails stays to be done."""
    purged, after = 0, UUID(int=0)
    while True:
        with transaction.atomic():
            # Under the rows' locks: a file that comes back now gets an object of its own. A row that is locked may
            # be coming back; if not, the next run finds it.
            unpurged = Media.objects.unpurged().select_for_update(skip_locked=True)
            batch = list(unpurged.filter(id__gt=after).order_by("id")[:BATCH])
            if not batch:
                return purged
            try:
                removed = _remove(batch)
            except StorageError as error:
                # Not asked for the next ones: everybody who writes would wait for each of its time-outs.
                log.error("deleted files are still there", extra={"error": str(error)})
                return purged
            Media.objects.filter(id__in=removed).update(purged_at=Now())
        purged, after = purged + len(removed), batch[-1].id


def _remove(batch: Sequence[Media]) -> list[UUID]:
    """Those of the files of which nothing is left. Raises StorageError when the storage does not delete at all."""
    objects = {media.id: [media.key, *(preview_key(media, size) for size in SIZES)] for media in batch}
    remaining: set[str] = set()
    try:
        # Sorted: a folder's files are deleted together.
        media_storage().delete(sorted(key for keys in objects.values() for key in keys))
    except DeleteError as error:
        remaining = {*error.keys}
        log.error("deleted files are still there", extra={"error": str(error), "objects": len(remaining)})
    return [id for id, keys in objects.items() if remaining.isdisjoint(keys)]
