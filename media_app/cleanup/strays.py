"""Objects without a file: seen twice, and what is to be done about each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings

from media_app import installation, tombstones
from media_app.cleanup.guards import Totals
from media_app.cleanup.plan import Entry, Kind
from media_app.identity import PREVIEWS, parse_key
from media_app.models import Media, Sighting
from media_app.previews import original_key
from media_app.reconciliation.comparison import Kind as Found
from media_app.reconciliation.reconciling import file_of, look_at, reconcile
from media_app.reconciliation.walk import Row, row_now
from media_app.record import RecordError
from media_app.rows_of_objects import ContradictionError, row_of
from media_app.storage import Storage, StorageError, StoredObject
from media_app.timing import STRAY_AGE

# Sightings in one query.
BATCH = 500

State = Media.State

#: Whether objects of an owner, as keys spell it, must be kept.
IsKept = Callable[[str], bool]


def strays(
    storage: Storage, totals: Totals, now: datetime, is_kept: IsKept
) -> Iterator[Entry]:
    """What may be done about each object without a file that was seen by an earlier run, too.

    Walks over all rows and objects, and counts them. Nothing is changed but the sightings. Raises
    StorageError when the storage is down, or is not ours.
    """
    unknown = _unknown(storage, totals)
    while batch := list(islice(unknown, BATCH)):
        first_seen = Sighting.objects.see([_digest(found) for found, _ in batch])
        for found, row in batch:
            since = max(first_seen[_digest(found)], found.modified)
            if now - since < STRAY_AGE:
                totals.leave("seen_for_less_than_a_day")
                continue
            try:
                entry = treatment(storage, found, row, totals, is_kept)
            except StorageError:
                # Of one object, or of all.
                installation.check(storage)
                totals.leave(str(Found.ERROR))
                continue
            if entry is not None:
                yield entry
    # A margin: times of rows and of Python are not equally exact.
    Sighting.objects.forget_unseen(now - timedelta(seconds=1))


def treatment(
    storage: Storage,
    found: StoredObject,
    row: Row | None,
    totals: Totals,
    is_kept: IsKept,
) -> Entry | None:
    """What is to be done about an object without a file; None where it has to stay.

    ``row`` is that of a purged file with this key. ``found`` is from ``Storage.head``. Raises
    StorageError, of another object, too.
    """
    entry = _by_rows(storage, found, row, totals)
    if entry is None or entry.kind == Kind.ADOPTION:
        return entry
    key = parse_key(original_key(found.key) if _is_preview(found) else found.key)
    if key is not None and is_kept(key.owner):
        totals.leave("of_contacts_on_hold")
        return None
    return entry


def _is_preview(found: StoredObject) -> bool:
    return found.key.startswith(PREVIEWS)


def _by_rows(
    storage: Storage, found: StoredObject, row: Row | None, totals: Totals
) -> Entry | None:
    """What the rows say of it."""
    if _is_preview(found):
        if _has_original(storage, found.key):
            totals.leave("previews_of_orphans")
            return None
        return _entry(Kind.PREVIEW, found, "a preview without its original")
    if row is not None:
        return _of_purged(Kind.PURGED, found, row, totals)
    another = file_of(found.key)
    if another is None:
        return _without_row(storage, found, totals)
    return _of_another_key(storage, found, another, totals)


def _unknown(
    storage: Storage, totals: Totals
) -> Iterator[tuple[StoredObject, Row | None]]:
    """Objects with keys of ours that are of no file, each with the row of a purged file."""
    for finding in reconcile(storage):
        totals.advance()
        row = finding.row
        if row is not None and row.state == State.STORED:
            totals.stored += 1
            totals.lost += finding.kind == Found.LOST
        if finding.found is not None:
            totals.previews += finding.key.startswith(PREVIEWS)
            totals.objects += parse_key(finding.key) is not None
        if finding.kind in (Found.ERROR, Found.CHANGING):
            totals.leave(str(finding.kind))
        if finding.kind == Found.UNKNOWN and finding.found is not None:
            if is_ours(finding.key):
                yield finding.found, row
            else:
                totals.leave("not_ours")


def is_ours(key: str) -> bool:
    """Whether it is the key of a file or of a preview."""
    if key.startswith(PREVIEWS):
        key = original_key(key)
    return parse_key(key) is not None


def _digest(found: StoredObject) -> str:
    text = f"{found.key}|{found.size}|{int(found.modified.timestamp())}"
    return hashlib.sha256(text.encode()).hexdigest()


def _has_original(storage: Storage, preview: str) -> bool:
    key = original_key(preview)
    kept = Media.objects.filter(key=key).exclude(
        state=State.DELETED, purged_at__isnull=False
    )
    return kept.exists() or storage.head(key) is not None


def _of_another_key(
    storage: Storage, found: StoredObject, row: Row, totals: Totals
) -> Entry | None:
    """The file has a row, with another key."""
    if row.state == State.DELETED and row.purged_at is not None:
        return _of_purged(Kind.ORPHAN, found, row, totals)
    if row.state == State.STORED and _has_right_object(storage, row):
        return _entry(Kind.ORPHAN, found, "a second object of a stored file")
    totals.leave("of_files_without_another_object")
    return None


def _of_purged(
    kind: Kind, found: StoredObject, row: Row, totals: Totals
) -> Entry | None:
    """The file is deleted and purged, by a row that may be of an older database."""
    if _was_sent_again(found, row):
        totals.leave("stored_after_its_purge")
        return None
    id = str(row.id) if kind == Kind.PURGED else ""
    return _entry(kind, found, "its file is deleted", id)


def _was_sent_again(found: StoredObject, row: Row) -> bool:
    """Whether the object says that its file was announced after the purge. When it was written says
    nothing: a backup's objects are written anew.
    """
    try:
        media = row_of(found, keys=settings.MEDIA_METADATA_KEYS)
    except (ContradictionError, RecordError):
        return False
    return row.purged_at is not None and media.announced_at > row.purged_at


def _has_right_object(storage: Storage, row: Row) -> bool:
    """Whether the bytes under the file's own key are right, so that it needs no other object.

    Reads them: where they are not, the other object may be the only right one.
    """
    own = look_at(storage, row.key, reads=True)
    if own.error:
        raise StorageError(own.error)
    return own.sha256 != "" and own.sha256 == row.sha256


def _without_row(storage: Storage, found: StoredObject, totals: Totals) -> Entry | None:
    try:
        media = row_of(found, keys=settings.MEDIA_METADATA_KEYS)
    except ContradictionError as error:
        return _entry(Kind.ORPHAN, found, str(error))
    except RecordError as error:
        if "record" in (found.metadata or {}):
            # With the right key it may be a file again.
            totals.leave("with_unreadable_metadata")
            return None
        return _entry(Kind.ORPHAN, found, str(error))
    if (another := row_now(id=media.id)) is not None:
        return _of_another_key(storage, found, another, totals)
    if tombstones.erased([media.id]):
        return _entry(Kind.ORPHAN, found, "its file was erased")
    return _entry(Kind.ADOPTION, found, "its metadata makes it a file", str(media.id))


def _entry(kind: Kind, found: StoredObject, reason: str, id: str = "") -> Entry:
    return Entry(
        kind=kind,
        key=found.key,
        id=id,
        size=found.size,
        modified=int(found.modified.timestamp()),
        reason=reason,
    )
