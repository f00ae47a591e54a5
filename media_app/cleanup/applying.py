"""Doing what a plan says, as far as nothing has changed since.

Each thing is looked at again right before it is deleted. A run that is killed leaves the rest to
the next run with the same plan: what is gone already is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby, islice
from uuid import UUID

from media_app import installation
from media_app.cleanup.guards import Totals
from media_app.cleanup.plan import Entry, Kind, Plan
from media_app.cleanup.planning import RETENTION_REASON, stored_second
from media_app.cleanup.strays import IsKept, treatment
from media_app.failpoints import failpoint
from media_app.models import Media, MediaQuerySet
from media_app.purge import bring_back, purge_deleted, remove_objects
from media_app.reconciliation.adoption import Link, adopt
from media_app.reconciliation.walk import row_now
from media_app.restoring import Restored, restore
from media_app.storage import Leftover, Storage, StorageError, StoredObject
from media_app.timing import DELETED_FILES_WAIT

# Entries of one kind that are looked at together, and then deleted together.
BATCH = 100
_NOT_AS_PLANNED = "another object is there, it has a file, or its sender is on hold"


class Result(StrEnum):
    DELETED = "deleted"
    ADOPTED = "adopted"
    RESTORED = "restored"
    #: It has changed since the plan was made: it stays.
    CHANGED = "changed"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one entry."""

    entry: Entry
    result: Result
    reason: str = ""


def apply(
    storage: Storage, plan: Plan, over: MediaQuerySet, link: Link, is_kept: IsKept
) -> Iterator[Applied]:
    """Delete what the plan lists. ``over`` are the files whose retention period is over now;
    ``link`` is called with each row that is made of an object. Where the owner ``is_kept``, objects
    stay.

    Raises StorageError when the storage is down, or is not ours.
    """

    def delete_objects(batch: list[Entry]) -> Iterator[Applied]:
        return _delete_objects(storage, batch, is_kept)

    steps: dict[Kind, Callable[[list[Entry]], Iterable[Applied]]] = {
        Kind.RETENTION: lambda batch: _delete_files(batch, over),
        Kind.ADOPTION: lambda batch: [
            _adopt(storage, each, link, is_kept) for each in batch
        ],
        Kind.PURGED: delete_objects,
        Kind.ORPHAN: delete_objects,
        Kind.PREVIEW: delete_objects,
        Kind.LEFTOVER: lambda batch: [_remove(storage, each) for each in batch],
    }
    for kind, entries in groupby(plan.entries(), lambda entry: entry.kind):
        while batch := list(islice(entries, BATCH)):
            installation.check(storage)
            failpoint("cleanup_before_batch")
            yield from steps[kind](batch)


def restore_all(storage: Storage, plan: Plan) -> Iterator[Applied]:
    """Restore the files that the plan deleted because their retention period was over.

    Raises StorageError when the storage is down, or is not ours.
    """
    for entry in plan.entries():
        if entry.kind == Kind.RETENTION:
            yield _restore(storage, entry)


def _restore(storage: Storage, entry: Entry) -> Applied:
    by_retention = Media.objects.filter(last_error=RETENTION_REASON)
    try:
        restored = restore(UUID(entry.id), storage, by_retention)
    except StorageError as error:
        # Of one object, or of all.
        installation.check(storage)
        return Applied(entry, Result.FAILED, str(error))
    if restored == Restored.STORED:
        return Applied(entry, Result.RESTORED)
    if restored == Restored.MISSING:
        return Applied(entry, Result.FAILED, "its object is gone or wrong")
    return _not_restored(entry)


def _not_restored(entry: Entry) -> Applied:
    """Why a file was skipped: it is back, or it can't be restored, or not now."""
    deleted = Media.objects.filter(id=entry.id, state=Media.State.DELETED).first()
    if deleted is None or deleted.last_error != RETENTION_REASON:
        return Applied(entry, Result.CHANGED, "its retention has not deleted it")
    if deleted.purged_at is not None:
        return Applied(entry, Result.FAILED, "it is purged already")
    text = "it is in use, or to be purged now: run this again in 5 minutes"
    return Applied(entry, Result.FAILED, text)


def _delete_files(batch: list[Entry], over: MediaQuerySet) -> Iterator[Applied]:
    """Let stored files wait for their purge."""
    same = _still_over(batch, over)
    # Once more in the statement itself: a message may just have come.
    over.filter(id__in=same).mark_deleted(RETENTION_REASON, wait=DELETED_FILES_WAIT)
    failpoint("cleanup_after_files")
    deleted = Media.objects.filter(
        id__in=[entry.id for entry in batch], state=Media.State.DELETED
    )
    gone = {str(id) for id in deleted.values_list("id", flat=True)}
    for entry in batch:
        if entry.id not in gone:
            yield Applied(entry, Result.CHANGED, "its row has changed")
        elif entry.id in same:
            yield Applied(entry, Result.DELETED)
        else:
            yield Applied(entry, Result.GONE)


def _still_over(batch: list[Entry], over: MediaQuerySet) -> set[str]:
    """The ids of the files whose retention period is still over, and that are as planned."""
    rows = over.filter(id__in=[entry.id for entry in batch])
    columns = rows.values_list("id", "key", "size", "stored_at")
    now_over = {
        str(id): (key, size or 0, stored_second(stored_at))
        for id, key, size, stored_at in columns
    }
    return {
        entry.id
        for entry in batch
        if now_over.get(entry.id) == (entry.key, entry.size, entry.modified)
    }


def _delete_objects(
    storage: Storage, batch: list[Entry], is_kept: IsKept
) -> Iterator[Applied]:
    doomed = []
    for entry in batch:
        kept = _kept(storage, entry, is_kept)
        if kept is None:
            doomed.append(entry)
        else:
            yield kept
    failpoint("cleanup_before_delete")
    try:
        remaining = _removed_but(storage, doomed)
        failpoint("cleanup_after_delete")
    finally:
        # A message of this moment can have made a row of one of them; so it can when another run
        # was killed, for which this one finds the object gone.
        bring_back(Media.objects.filter(key__in=[entry.key for entry in batch]))
    for entry in doomed:
        if entry.key in remaining:
            yield Applied(entry, Result.FAILED, "the storage did not delete it")
        else:
            yield Applied(entry, Result.DELETED)


def _removed_but(storage: Storage, doomed: list[Entry]) -> set[str]:
    """Delete the objects; the keys of those that remain."""
    purged = [entry for entry in doomed if entry.kind == Kind.PURGED]
    if not purged:
        # Not one of them has a row.
        return remove_objects(storage, [entry.key for entry in doomed])
    # These have a row, whose lease keeps it from being fetched meanwhile.
    files = Media.objects.filter(id__in=[entry.id for entry in purged])
    files.purge_again()
    purge_deleted(files)
    gone = files.filter(state=Media.State.DELETED, purged_at__isnull=False)
    return {entry.key for entry in purged} - {*gone.values_list("key", flat=True)}


def _kept(storage: Storage, entry: Entry, is_kept: IsKept) -> Applied | None:
    """Why an object must not be deleted, or need not; None where it is still as planned."""
    try:
        found = storage.head(entry.key)
        if found is None:
            return Applied(entry, Result.GONE)
        now = _entry_now(storage, found, is_kept)
    except StorageError as error:
        return Applied(entry, Result.FAILED, str(error))
    if now != entry:
        return Applied(entry, Result.CHANGED, _NOT_AS_PLANNED)
    return None


def _entry_now(storage: Storage, found: StoredObject, is_kept: IsKept) -> Entry | None:
    """What would be planned for this object now; None where it stays."""
    row = row_now(key=found.key)
    if row is not None and row.purged_at is None:
        return None
    return treatment(storage, found, row, Totals(), is_kept)


def _adopt(storage: Storage, entry: Entry, link: Link, is_kept: IsKept) -> Applied:
    try:
        found = storage.head(entry.key)
        if found is None:
            return Applied(entry, Result.GONE)
        if _entry_now(storage, found, is_kept) != entry:
            return Applied(entry, Result.CHANGED, _NOT_AS_PLANNED)
        [outcome] = adopt(storage, [found], apply=True, link=link)
    except StorageError as error:
        return Applied(entry, Result.FAILED, str(error))
    if outcome.failed:
        return Applied(entry, Result.FAILED, outcome.text)
    return Applied(entry, Result.ADOPTED)


def _remove(storage: Storage, entry: Entry) -> Applied:
    leftover = Leftover(
        key=entry.key,
        id=entry.id,
        size=entry.size,
        modified=datetime.fromtimestamp(entry.modified, UTC),
    )
    try:
        storage.leftovers.remove(leftover)
    except StorageError as error:
        return Applied(entry, Result.FAILED, str(error))
    return Applied(entry, Result.DELETED)
