"""Files whose object is lost or wrong, fetched again while the provider has them."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings

from media_app import backfill, installation, rate
from media_app.backfill import Result
from media_app.failpoints import failpoint
from media_app.ingest.flow import fetch
from media_app.ingest.saving import save
from media_app.models import AccountPause, Lease, Media
from media_app.purge import purge_deleted, remove_objects
from media_app.reconciliation.comparison import Finding, Kind
from media_app.reconciliation.outcome import Outcome
from media_app.sources import SOURCES
from media_app.sources.deadline import Deadline
from media_app.sources.errors import SourceError
from media_app.spool import Spool
from media_app.storage import Storage, StorageError
from media_app.timing import FETCH_DEADLINE_SECONDS

REPAIRED = Outcome("repaired", "fetched again")


def can_be_repaired(finding: Finding) -> bool:
    """Whether the finding is of a file that may be fetched again."""
    return finding.row is not None and (
        finding.kind == Kind.LOST
        or finding.has_wrong_bytes
        or finding.row.state == Media.State.MISSING
    )


def repair(storage: Storage, finding: Finding, *, apply: bool) -> Outcome:
    """Fetch the file of a finding that ``can_be_repaired``; without ``apply`` only tell.

    Closes the connection to the database. Raises ForeignStorageError.
    """
    row = finding.row
    media = Media.objects.filter(id=row.id).first() if row else None
    if row is None or media is None:
        return _not("its row is gone")
    is_lost = finding.kind == Kind.LOST and row.state == Media.State.STORED
    if apply and is_lost:
        Media.objects.mark_missing(row.id, stored_at=row.stored_at)
        failpoint("repair_after_missing")
    if not media.was_passed_on or media.source not in SOURCES:
        return _not("there is nobody to fetch it from", failed=apply)
    if not apply:
        return Outcome("repairable", "can be fetched again, if the provider has it")
    if finding.has_wrong_bytes:
        return _replace(storage, media)
    attempted = backfill.attempt(row.id, again=(Media.State.MISSING,))
    if attempted.result == Result.STORED or attempted.reason == "stored_meanwhile":
        return REPAIRED
    return _not(attempted.error)


def _not(reason: str, *, failed: bool = True) -> Outcome:
    return Outcome("not_repaired", f"not fetched again: {reason}", failed=failed)


def _replace(storage: Storage, media: Media) -> Outcome:
    """Put the right bytes in place of the wrong ones. The file stays stored meanwhile: where the
    provider no longer has it, staff still have what there is.
    """
    paused = AccountPause.objects.in_force()
    if paused.filter(source=media.source, account=media.account).exists():
        return _not("its account is paused")
    # Only the bytes that were stored are right.
    media.announced_sha256 = media.sha256
    deadline = Deadline(FETCH_DEADLINE_SECONDS)
    rate.wait_for_turn()
    try:
        found = storage.head(media.key)
        with Spool(settings.MEDIA_MAX_BYTES) as spool:
            fetched = fetch(media, spool, deadline)
            installation.check(storage)
            existing = [found] if found else []
            save(storage, media, fetched, spool, existing, deadline.check)
    except installation.ForeignStorageError:
        raise
    except (SourceError, StorageError) as error:
        return _not(str(error))
    failpoint("repair_after_put")
    if Media.objects.mark_put_after_deletion(Lease(media, uuid4()), media.key):
        purge_deleted(Media.objects.filter(id=media.id))
        return _not("it was deleted meanwhile")
    if not Media.objects.filter(id=media.id, key=media.key).exists():
        # An erasure was over before the object was put: nobody else deletes it.
        remove_objects(storage, [media.key])
        return _not("it was erased or moved meanwhile")
    return REPAIRED
