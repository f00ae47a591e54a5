"""Objects without a row, and objects of files that were given up, used as files again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from media_app import installation, tombstones
from media_app.failpoints import failpoint
from media_app.identity import owner_prefix
from media_app.ingest.adoption import adopt as as_file
from media_app.models import Media
from media_app.reconciliation.comparison import Finding, Kind
from media_app.reconciliation.outcome import Outcome
from media_app.reconciliation.reconciling import file_of
from media_app.record import RecordError
from media_app.rows_of_objects import ContradictionError, row_of
from media_app.storage import Storage, StorageError, StoredObject

#: Called with new rows in the transaction that saves them: what belongs to them is saved as well.
Link = Callable[[Sequence[Media]], None]

ADOPTED = Outcome("adopted", "adopted")
ADOPTABLE = Outcome("adoptable", "can be adopted")


def can_be_adopted(finding: Finding) -> bool:
    """Whether the finding is an object that may be the file of a row. What was read and is wrong is
    not.
    """
    if finding.found is None:
        return False
    if finding.kind == Kind.UNKNOWN:
        return not finding.differs and not finding.reason
    return finding.row is not None and finding.row.state in Media.GIVEN_UP


def adopt(
    storage: Storage, objects: Sequence[StoredObject], *, apply: bool, link: Link
) -> list[Outcome]:
    """Use objects, of findings that ``can_be_adopted``, as the files of their rows; a row is made
    again where there is none. Without ``apply`` only tell. Returns an outcome for each.

    ``objects`` are from ``Storage.head``, some hundred at most: their rows are saved at once.
    """
    described = [_described(each) for each in objects]
    ids = [row.id for row in described if isinstance(row, Media)]
    known, erased = Media.objects.in_bulk(ids), tombstones.erased(ids)
    outcomes: list[Outcome] = []
    new: list[Media] = []
    for found, row in zip(objects, described, strict=True):
        if isinstance(row, str):
            outcome = _adopt_without_metadata(storage, found, row, apply=apply)
        elif row.id in known:
            outcome = _adopt_for(storage, known[row.id], found, apply=apply)
        elif row.id in erased:
            outcome = _not("it was erased", failed=apply)
        else:
            outcome = ADOPTABLE
            new.append(row)
        outcomes.append(outcome)
    if not apply:
        return outcomes
    saved = iter(_saved(storage, new, link))
    return [next(saved) if each == ADOPTABLE else each for each in outcomes]


def _described(found: StoredObject) -> Media | str:
    """The row that the object's metadata describes, or why there is none."""
    try:
        return row_of(found, keys=settings.MEDIA_METADATA_KEYS)
    except (RecordError, ContradictionError) as error:
        return str(error)


class _ErasedError(Exception):
    """One of the rows was erased since it was asked for: reading a batch takes long."""


def _saved(storage: Storage, rows: Sequence[Media], link: Link) -> list[Outcome]:
    """Save new rows with what belongs to them: all at once, or else one by one."""
    try:
        with transaction.atomic():
            Media.objects.bulk_create(rows)
            failpoint("adoption_before_link")
            link(rows)
            if tombstones.erased([row.id for row in rows]):
                raise _ErasedError
    except (IntegrityError, DataError, _ErasedError) as error:
        if len(rows) > 1:
            return [outcome for row in rows for outcome in _saved(storage, [row], link)]
        if isinstance(error, _ErasedError):
            return [_not("it was erased")]
        if isinstance(error, DataError):
            return [_not("the record has a value that no file has")]
        return [_not("a row of this file has just been made")]
    return [_still_there(storage, row) for row in rows]


def _still_there(storage: Storage, row: Media) -> Outcome:
    """An erasure that ended before the row was saved took its object for nobody's."""
    if not settings.ERASURE_KEY:
        return ADOPTED
    try:
        if storage.head(row.key) is not None:
            return ADOPTED
        installation.check(storage)
    except StorageError as error:
        return _not(str(error))
    Media.objects.mark_missing(row.id)
    return _not("its object was removed meanwhile")


def _not(reason: str, *, failed: bool = True) -> Outcome:
    return Outcome("not_adopted", f"not adopted: {reason}", failed=failed)


def _adopt_without_metadata(
    storage: Storage, found: StoredObject, reason: str, *, apply: bool
) -> Outcome:
    """Only for a row that is there: the key has twelve digits of its id."""
    known = file_of(found.key)
    media = Media.objects.filter(id=known.id).first() if known else None
    if media is None:
        return _not(reason, failed=apply)
    return _adopt_for(storage, media, found, apply=apply)


def _adopt_for(
    storage: Storage, media: Media, found: StoredObject, *, apply: bool
) -> Outcome:
    """Use the object as the file of a row that was given up. Its bytes are read: only the right
    digest makes it this file.
    """
    if media.state not in Media.GIVEN_UP:
        return _not(f"its file is {media.get_state_display()}", failed=apply)
    if not found.key.startswith(owner_prefix(media.owner)):
        return _not("it is under the prefix of another owner", failed=apply)
    try:
        file = as_file(storage, found, media, lambda: None)
    except StorageError as error:
        return _not(str(error), failed=apply)
    if file is None:
        return _not("its digest is not known, or another one", failed=apply)
    if not apply:
        return ADOPTABLE
    if not Media.objects.mark_adopted(media.id, **asdict(file)):
        return _not("its file has just changed")
    return ADOPTED
