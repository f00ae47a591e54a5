"""Bringing deleted files back while their objects are kept."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING

from media_app import installation
from media_app.failpoints import failpoint
from media_app.ingest.adoption import read_if_digest_matches
from media_app.models import Media, MediaQuerySet
from media_app.sources.deadline import Deadline
from media_app.storage import Storage, StorageError, media_storage
from media_app.timing import RESTORE_DEADLINE_SECONDS

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)


class Restored(StrEnum):
    """What became of a file that was to be restored."""

    STORED = "restored"
    #: Its object is gone, or has other bytes.
    MISSING = "missing"
    #: It is not deleted any more, not among the chosen ones, its time is over, or somebody else
    #: works on it.
    SKIPPED = "skipped"


def restore(
    id: UUID, storage: Storage | None = None, files: MediaQuerySet | None = None
) -> Restored:
    """Make a deleted file stored again, once its object has been read and is right. With ``files``
    only if it is among them.

    Raises StorageError: then it stays deleted, and can be tried again.
    """
    storage = storage or media_storage()
    if files is None:
        files = Media.objects.all()
    lease = files.claim_restoration(id)
    if lease is None:
        return Restored.SKIPPED
    failpoint("restore_after_claim")
    try:
        error = _problem(storage, lease.media)
        if not error:
            done, result = Media.objects.mark_restored(lease), Restored.STORED
        else:
            done, result = Media.objects.mark_lost(lease, error), Restored.MISSING
    finally:
        Media.objects.release(lease)
    if not done:
        return Restored.SKIPPED
    log.info("restored", extra={"media": str(id), "result": str(result)})
    return result


def _problem(storage: Storage, media: Media) -> str:
    """What is wrong with the object of a file, for staff; "" when it is as it was stored."""
    deadline = Deadline(RESTORE_DEADLINE_SECONDS)

    def raise_if_past_deadline() -> None:
        if deadline.remaining() <= 0:
            raise StorageError(
                "The storage is too slow: reading the object was cut short."
            )

    found = storage.head(media.key)
    if found is None:
        # In a storage that is not ours nothing is there.
        installation.check(storage)
        return "The storage no longer has the file."
    if found.size != media.size:
        return f"The object has {found.size:,} bytes, not the {media.size:,} that were stored."
    whole = read_if_digest_matches(storage, found, media.sha256, raise_if_past_deadline)
    if whole is None:
        return "The object has other bytes than were stored."
    return ""
