"""Removing the objects of deleted files: repeatable, also where the storage fails in between.

The storage is called outside of any transaction: no writer waits for it. Instead the files are
claimed with a lease, and a file that is pending again is not fetched before the lease has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.dispatch import Signal

from media_app import installation
from media_app.failpoints import failpoint
from media_app.models import Media, MediaQuerySet
from media_app.models.purges import Purge
from media_app.previews import SIZES, preview_key
from media_app.storage import DeleteError, Storage, StorageError, media_storage

log = logging.getLogger(__name__)

# Files at a time, three objects each: one request to a bucket.
BATCH = 100

#: Sent before files are claimed: whoever knows why some must be kept lets them wait again.
about_to_purge = Signal()


def purge_deleted(files: MediaQuerySet | None = None) -> int:
    """Remove the objects and previews of all deleted files, or of those among ``files``; returns
    how many.

    What fails is tried again by the next call.
    """
    if files is None:
        files = Media.objects.all()
    purged, after = 0, UUID(int=0)
    while (purge := _claimed(files, after)).files:
        failpoint("purge_after_claim")
        removed: list[UUID] = []
        try:
            removed = _remove(purge.files)
        except StorageError as error:
            # The next ones would each wait for the time-outs, too.
            log.error("deleted files are still there", extra={"error": str(error)})
            break
        finally:
            failpoint("purge_after_delete")
            purged += Media.objects.end_purge(purge, removed)
            bring_back(Media.objects.overtook(purge))
        after = purge.files[-1].id
    return purged


def _claimed(files: MediaQuerySet, after: UUID) -> Purge:
    about_to_purge.send(sender=Media)
    return files.claim_purge(BATCH, after=after)


def _remove(batch: Sequence[Media]) -> list[UUID]:
    """The files of which nothing is left. Raises StorageError when the storage does not delete at
    all.
    """
    objects = {
        media.id: [media.key, *(preview_key(media, size) for size in SIZES)]
        for media in batch
    }
    keys = [key for keys in objects.values() for key in keys]
    remaining = remove_objects(media_storage(), keys)
    return [id for id, keys in objects.items() if remaining.isdisjoint(keys)]


def remove_objects(storage: Storage, keys: Iterable[str]) -> set[str]:
    """Delete objects of files; the keys of those that remain.

    Raises StorageError when the storage does not delete at all, or is not ours.
    """
    # Of a storage that is not ours everything seems to be deleted already.
    installation.check(storage)
    try:
        # Sorted: a folder's files are deleted together.
        storage.delete(sorted(keys))
    except DeleteError as error:
        log.error(
            "deleted files are still there",
            extra={"error": str(error), "objects": len(error.keys)},
        )
        return {*error.keys}
    return set()


def bring_back(files: MediaQuerySet) -> None:
    """Fetch again what was deleted although the file had just been stored again: a purge outlived
    its lease, or an object that was no file's became one.
    """
    storage = media_storage()
    for media in files.filter(state=Media.State.STORED):
        try:
            if storage.head(media.key) is not None:
                continue
            installation.check(storage)
        except StorageError as error:
            log.error(
                "a file was not looked for",
                extra={"media": str(media.id), "error": str(error)},
            )
            continue
        log.error(
            "an object was deleted too late: its file is fetched again",
            extra={"media": str(media.id)},
        )
        Media.objects.mark_missing(media.id)
        Media.objects.filter(id=media.id, state=Media.State.MISSING).revive()
