"""Deleting files, restoring them, and removing the objects of deleted files."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.db import transaction
from django.db.models import Case, DateTimeField, Q, When
from django.db.models.functions import Now

from media_app.models.claims import ClaimsQuerySet, Lease
from media_app.models.states import State
from media_app.timing import DELETED_FILES_WAIT, PURGE_LEASE, RESTORE_LEASE

if TYPE_CHECKING:
    from uuid import UUID

    from media_app.models.media import Media


@dataclass(frozen=True, slots=True)
class Purge:
    """The right to delete the objects of some deleted files, until it expires after PURGE_LEASE.

    A file that is pending again meanwhile is not claimed before that, so nobody puts an object that
    is then deleted.
    """

    files: list[Media]
    token: UUID = field(default_factory=uuid.uuid4)


class PurgesQuerySet(ClaimsQuerySet):
    def mark_deleted(self, reason: str, *, wait: timedelta | None = None) -> int:
        """Enter ``deleted``, from any state. Returns how many.

        The objects are purged after it: at once, or of files that were ever stored after ``wait``,
        until when they can be restored. Without ``wait`` those that wait already are purged at
        once, too. Leases stay: a worker that holds one may still put the object, or delete it.
        """
        purge_after: Case | None = None
        if wait is not None:
            kept = When(~Q(sha256=""), then=Now() + wait)
            purge_after = Case(kept, default=None, output_field=DateTimeField())
        changed = 0
        if wait is None:
            waiting = self.filter(state=State.DELETED, purged_at=None)
            changed = waiting.exclude(purge_after=None).update(
                purge_after=None, last_error=reason
            )
        return changed + self.exclude(state=State.DELETED).update(
            state=State.DELETED,
            last_error=reason,
            failure="",
            purged_at=None,
            purge_after=purge_after,
            queued_until=None,
            # A file that is stored again is private until staff publish it again.
            is_public=False,
        )

    def unpurged(self) -> Self:
        """Deleted files whose objects may still be there, and need not be kept any longer."""
        is_over = Q(purge_after=None) | Q(purge_after__lte=Now())
        return self.filter(is_over, state=State.DELETED, purged_at=None)

    def wait_again(self) -> int:
        """Let files that waited for their purge wait once more. Returns how many."""
        over = self.unpurged().unclaimed().exclude(purge_after=None)
        return over.update(purge_after=Now() + DELETED_FILES_WAIT)

    def restorable(self) -> Self:
        """Deleted files whose objects are still kept."""
        return self.filter(state=State.DELETED, purged_at=None, purge_after__gt=Now())

    def claim_restoration(self, id: UUID) -> Lease | None:
        """Keep a ``restorable`` file of these from being purged while its object is read; None when
        it is not, or somebody works on it.
        """
        with transaction.atomic():
            files = self.restorable().unclaimed().filter(id=id)
            media = files.select_for_update(skip_locked=True).first()
            if media is None:
                return None
            lease = Lease(media, uuid.uuid4())
            self.filter(id=id).update(
                lease_token=lease.token, lease_until=Now() + RESTORE_LEASE
            )
        return lease

    def mark_restored(self, lease: Lease) -> bool:
        """Enter ``stored`` from ``deleted``: the object is there, and its bytes are right.

        False when meanwhile the file came back another way, or was to be purged at once.
        """
        return self._end_restoration(
            lease, state=State.STORED, stored_at=Now(), last_error=""
        )

    def mark_lost(self, lease: Lease, error: str) -> bool:
        """Enter ``missing`` from ``deleted``: the object of a file to restore is gone or wrong.

        False as ``mark_restored``.
        """
        return self._end_restoration(lease, state=State.MISSING, last_error=error)

    def release(self, lease: Lease) -> None:
        """Let others work on the file, whatever its state is by now."""
        own = self.filter(id=lease.media.id, lease_token=lease.token)
        own.update(lease_token=None, lease_until=None)

    def _end_restoration(self, lease: Lease, **values: object) -> bool:
        kept = self.filter(
            id=lease.media.id,
            lease_token=lease.token,
            state=State.DELETED,
            purged_at=None,
            purge_after__isnull=False,
        )
        return kept.update(purge_after=None, **values) == 1

    def claim_purge(self, limit: int, *, after: UUID) -> Purge:
        """Claim deleted files that nobody works on, by their ids, from ``after`` on."""
        with transaction.atomic():
            unpurged = self.unpurged().unclaimed().filter(id__gt=after).order_by("id")
            purge = Purge(list(unpurged.select_for_update(skip_locked=True)[:limit]))
            self._files_of(purge).update(
                lease_token=purge.token, lease_until=Now() + PURGE_LEASE
            )
        return purge

    def purge_again(self) -> int:
        """An object of these deleted files has come back, from a backup or a worker that was late.
        Returns how many.
        """
        purged = self.filter(state=State.DELETED, purged_at__isnull=False)
        return purged.update(purged_at=None, purge_after=None)

    def end_purge(self, purge: Purge, removed: Collection[UUID]) -> int:
        """Release the files; those ``removed`` (ids) are purged, unless they are pending again.
        Returns how many are.
        """
        with transaction.atomic():
            held = self._files_of(purge).filter(lease_token=purge.token)
            deleted = held.filter(id__in=removed, state=State.DELETED)
            purged = deleted.update(purged_at=Now())
            held.update(lease_token=None, lease_until=None)
        return purged

    def overtook(self, purge: Purge) -> Self:
        """The files that were stored again before their purge ended, because it outlasted its
        lease.
        """
        stored = self._files_of(purge).filter(state=State.STORED)
        return stored.exclude(lease_token=purge.token)

    def mark_put_after_deletion(self, lease: Lease, key: str) -> bool:
        """The object of a deleted file was put under ``key``: it has to be purged, or purged again.

        False when the file is not deleted. A purge that is under way may have passed the object
        already: it goes on, but can't mark the file as purged any more.
        """
        deleted = self.filter(id=lease.media.id, state=State.DELETED)
        with transaction.atomic():
            deleted.filter(lease_token=lease.token).update(lease_until=None)
            marked = deleted.update(purged_at=None, key=key, lease_token=uuid.uuid4())
        return marked == 1

    def _files_of(self, purge: Purge) -> Self:
        return self.filter(id__in=[media.id for media in purge.files])
