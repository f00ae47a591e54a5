"""Deleting files, and removing the objects of deleted files."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from django.db import transaction
from django.db.models.functions import Now

from media_app.models.claims import ClaimsQuerySet, Lease
from media_app.models.states import State
from media_app.timing import PURGE_LEASE

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
    def mark_deleted(self, reason: str) -> int:
        """Enter ``deleted``, from any state; the objects are purged after it. Returns how many.

        Leases stay: a worker that holds one may still put the object, or delete it.
        """
        return self.exclude(state=State.DELETED).update(
            state=State.DELETED,
            last_error=reason,
            failure="",
            purged_at=None,
            queued_until=None,
            # A file that is stored again is private until staff publish it again.
            is_public=False,
        )

    def unpurged(self) -> Self:
        """Deleted files whose objects may still be there."""
        return self.filter(state=State.DELETED, purged_at=None)

    def claim_purge(self, limit: int, *, after: UUID) -> Purge:
        """Claim deleted files that nobody works on, by their ids, from ``after`` on."""
        with transaction.atomic():
            unpurged = self.unpurged().unclaimed().filter(id__gt=after).order_by("id")
            purge = Purge(list(unpurged.select_for_update(skip_locked=True)[:limit]))
            self._files_of(purge).update(
                lease_token=purge.token, lease_until=Now() + PURGE_LEASE
            )
        return purge

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
