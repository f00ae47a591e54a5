"""Removing the objects of deleted files: repeatable, and tolerant of a storage that fails in between."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from media_app.models import Media
from media_app.previews import SIZES, preview_key
from media_app.storage import StorageError, media_storage

log = logging.getLogger(__name__)

BATCH = 100


def purge_deleted() -> int:
    """Remove the objects and previews of all deleted files; returns how many. What fails stays to be done."""
    done, tried = 0, set[UUID]()
    while ids := list(Media.objects.unpurged().exclude(id__in=tried).values_list("id", flat=True)[:BATCH]):
        for id in ids:
            tried.add(id)
            with transaction.atomic():
                # Under the row's lock: a file that has come back meanwhile has an object of its own.
                media = Media.objects.unpurged().select_for_update().filter(id=id).first()
                if media is None:
                    continue
                try:
                    media_storage().delete([media.key, *(preview_key(media, size) for size in SIZES)])
                except StorageError as error:
                    log.error("a deleted file is still there", extra={"media": str(id), "error": str(error)})
                    continue
                Media.objects.filter(id=id).update(purged_at=Now())
                done += 1
    return done
