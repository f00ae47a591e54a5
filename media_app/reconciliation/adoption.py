"""Objects without a row, and objects of files that were given up, used as files again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from media_app import tombstones
from media_app.failpoints import failpoint
from media_app.ingest.adoption import adopt as as_file
from media_app.models import Media
from media_app.reconciliation.comparison import Finding, Kind
from media_app.reconciliation.outcome import Outcome
from media_app.reconciliation.reconciling import file_of
from media_app.record import RecordError
from media_app.rows_of_objects import ContradictionError, row_of
from media_app.storage import Storage, StorageError, StoredObject

#: Called with each new row in the transaction that saves it: what belongs to it is saved as well.
Link = Callable[[Media], None]

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


def adopt(storage: Storage, found: StoredObject, *, apply: bool, link: Link) -> Outcome:
    """Use an object, of a finding that ``can_be_adopted``, as the file of its row; the row is made
    again where there is none. Without ``apply`` only tell.

    ``found`` is from ``Storage.head``.
    """
    row, reason = None, ""
    try:
        row = row_of(found, keys=settings.MEDIA_METADATA_KEYS)
    except (RecordError, ContradictionError) as error:
        reason = str(error)
    known = _known(found, row)
    if known is not None:
        return _adopt_for(storage, known, found, apply=apply)
    if row is None:
        return _not(reason, failed=apply)
    if tombstones.erased([row.id]):
        return _not("it was erased", failed=apply)
    if not apply:
        return ADOPTABLE
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            failpoint("adoption_before_link")
            link(row)
    except IntegrityError:
        return _not("a row of this file has just been made")
    except DataError:
        return _not("the record has a value that no file has")
    return ADOPTED


def _not(reason: str, *, failed: bool = True) -> Outcome:
    return Outcome("not_adopted", f"not adopted: {reason}", failed=failed)


def _known(found: StoredObject, row: Media | None) -> Media | None:
    """The file's row, which may have another key than the object."""
    if row is not None:
        return Media.objects.filter(id=row.id).first()
    # Without metadata the key has to do: it has twelve digits of the id.
    known = file_of(found.key)
    return Media.objects.filter(id=known.id).first() if known else None


def _adopt_for(
    storage: Storage, media: Media, found: StoredObject, *, apply: bool
) -> Outcome:
    """Use the object as the file of a row that was given up. Its bytes are read: only the right
    digest makes it this file.
    """
    if media.state not in Media.GIVEN_UP:
        return _not(f"its file is {media.get_state_display()}", failed=apply)
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
