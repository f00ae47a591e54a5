"""The steps: claim, open, spool, verify, put, mark.

Any step may be the last one before the process dies, and any file may be worked on
twice at once. The order makes that harmless: the object is put before the row says
stored, and an object that is already there is adopted.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import asdict

from django.conf import settings

from media_app import filetypes, installation, retry, tombstones
from media_app.clock import database_now
from media_app.failpoints import failpoint
from media_app.ingest.adoption import VerifiedFile, adopt, find_objects
from media_app.ingest.saving import NotSavedError, raise_if_no_room, save
from media_app.ingest.verification import UnconfirmedError, verify
from media_app.lease import renewed
from media_app.models import AccountPause, Lease, Media
from media_app.purge import purge_deleted
from media_app.sources import announces_early, source
from media_app.sources.base import FetchTarget
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    InternalError,
    SourceError,
    UnavailableError,
    WorkerLostError,
)
from media_app.spool import Spool, too_large
from media_app.storage import Storage, StorageError, media_storage
from media_app.timing import CONFIRM_AFTER, FETCH_DEADLINE_SECONDS

log = logging.getLogger(__name__)


def ingest_next() -> Media | None:
    """Fetch the most urgent due file; None when nothing is due. Failures are written on the row.

    The returned file is ``is_stored`` when it was fetched.
    """
    lease = Media.objects.claim()
    if lease is None:
        return None
    with Spool(settings.MEDIA_MAX_BYTES) as spool:
        ingest(lease, spool)
    return lease.media


def ingest(lease: Lease, spool: Spool) -> SourceError | StorageError | None:
    """Bring one file into the storage by way of ``spool``; a failure is written on the row, and
    returned.

    Afterwards ``lease.media.is_stored`` tells whether it succeeded; the row's new values are then
    in ``lease.media``. The spool stays empty where an object was adopted, and where the lease only
    ends the attempt of a worker that was lost.
    """
    if lease.ends_lost_attempt:
        return _fail(lease, WorkerLostError())
    failpoint("ingest_after_claim")
    deadline = Deadline(FETCH_DEADLINE_SECONDS)
    try:
        with renewed(lease, deadline):
            saved = _bring(lease.media, spool, deadline, media_storage())
        _finish(lease, saved)
    except (SourceError, StorageError) as error:
        return _fail(lease, error)
    except Exception:
        reason = "Fetching stopped with an internal error; the log has the details."
        _fail(lease, InternalError(reason))
        raise
    return None


def _bring(
    media: Media, spool: Spool, deadline: Deadline, storage: Storage
) -> VerifiedFile:
    """Adopt the file's object, or fetch the file and put it. Raises SourceError, StorageError."""
    raise_if_past_deadline = _storage_check(deadline)
    installation.check_recently(storage)
    existing = find_objects(storage, media, raise_if_past_deadline)
    for found in existing:
        adopted = adopt(storage, found, media, raise_if_past_deadline)
        if adopted is not None:
            return adopted
    if media.unkept_size is not None:
        # Its bytes were fetched before, and found no room. A full disk must not cost a download at
        # each attempt.
        raise_if_no_room(storage, media.unkept_size)
    fetched = fetch(media, spool, deadline)
    deadline.check()
    # The storage may have been replaced while the file was fetched.
    installation.check_recently(storage)
    failpoint("ingest_before_put")
    try:
        return save(storage, media, fetched, spool, existing, raise_if_past_deadline)
    except StorageError as error:
        raise NotSavedError(error, fetched.size) from error


def _storage_check(deadline: Deadline) -> Callable[[], None]:
    """A function that raises StorageError once the deadline has passed. It is called between two
    calls of the storage: for each object listed, chunk read and chunk written.

    It can't interrupt a call. A storage that is silent for 15 s runs into its client's own
    time-out, twice, because the client tries again. A storage that sends very slowly is stopped
    by the time limit of the job.
    """

    def raise_if_past_deadline() -> None:
        # A StorageError, because no file is given up for a slow storage.
        try:
            deadline.check()
        except UnavailableError as error:
            raise StorageError(f"Keeping the file was cut short: {error}") from error

    return raise_if_past_deadline


def fetch(media: Media, spool: Spool, deadline: Deadline) -> VerifiedFile:
    """Fill the spool from the file's source, and verify it. Raises SourceError, StorageError."""
    with source(media.source).open(_target(media), deadline) as opened:
        if opened.size is not None and opened.size > settings.MEDIA_MAX_BYTES:
            raise too_large(settings.MEDIA_MAX_BYTES)
        try:
            spool.fill(opened.chunks, expected=opened.size)
        except StorageError as error:
            raise NotSavedError(error, max(spool.size, opened.size or 0)) from error
    sniffed = filetypes.sniff(spool.head())
    verify(media, opened, spool, sniffed)
    spool.is_verified = True
    content_type, type_differs = filetypes.decide_type(
        media.announced_type or opened.content_type, sniffed
    )
    return VerifiedFile(
        key=media.key,
        sha256=spool.sha256,
        size=spool.size,
        content_type=content_type,
        type_differs=type_differs,
    )


def _finish(lease: Lease, saved: VerifiedFile) -> None:
    """Mark the file stored, also after the lease was lost: the bytes are verified and in place.
    Only a deletion that overtook the fetch changes that:

    - The file was deleted while it was fetched: the object that was just put is removed.
    - The lease was lost, and the file was deleted and announced again in between: the deletion has
      removed our object, so the file is fetched again.
    """
    failpoint("ingest_after_put")
    media, lease_was_lost = lease.media, not Media.objects.holds(lease)
    stored = Media.objects.mark_stored(
        lease,
        key=saved.key,
        sha256=saved.sha256,
        size=saved.size,
        content_type=saved.content_type,
        type_differs=saved.type_differs,
    )
    if not stored:
        _remove_object_of_deleted(lease, saved)
        return
    if lease_was_lost and media_storage().head(saved.key) is None:
        _fetch_again_without_object(media)
        return
    media.state = Media.State.STORED
    for name, value in asdict(saved).items():
        setattr(media, name, value)
    failpoint("ingest_after_mark")
    log.info(
        "stored",
        extra={"media": str(media.id), "size": saved.size, "attempts": media.attempts},
    )


def _remove_object_of_deleted(lease: Lease, saved: VerifiedFile) -> None:
    media = lease.media
    if Media.objects.mark_put_after_deletion(lease, saved.key):
        log.info(
            "deleted while it was fetched: the object is removed again",
            extra={"media": str(media.id)},
        )
        purge_deleted(Media.objects.filter(id=media.id))
    elif tombstones.erased([media.id]):
        # Not even its row is left to say that the object has to go.
        media_storage().delete([saved.key])


def _fetch_again_without_object(media: Media) -> None:
    installation.check(media_storage())
    if Media.objects.mark_missing(media.id):
        Media.objects.filter(id=media.id).revive()


def _fail(
    lease: Lease, error: SourceError | StorageError
) -> SourceError | StorageError:
    """Write the failure on the row; returns it."""
    media, reason = lease.media, str(error)
    decision = retry.decide(
        error,
        attempts=media.attempts,
        repeated=media.last_error == reason,
        announced_at=media.announced_at,
        expires_at=media.expires_at,
        give_up_at=media.give_up_at,
        announces_early=announces_early(media.source),
        now=database_now(),
        jitter=random.random(),  # noqa: S311
    )
    failpoint("ingest_before_fail")
    if lease.is_trial and retry.account_works(error):
        # The trial has failed, but the provider accepted the credentials: the account works.
        AccountPause.objects.lift(source=media.source, account=media.account)
    if isinstance(decision, retry.PauseAccount):
        _pause_account(lease, reason, decision)
    elif isinstance(decision, retry.Retry):
        _retry(lease, error, decision)
    elif decision is retry.End.EXPIRED:
        Media.objects.mark_expired(lease, reason)
    else:
        Media.objects.mark_rejected(lease, reason, retry.failure_of(error))
    log.warning(
        "not fetched",
        extra={
            "media": str(media.id),
            "error": type(error).__name__,
            "attempts": media.attempts,
        },
    )
    return error


def _pause_account(lease: Lease, reason: str, decision: retry.PauseAccount) -> None:
    if decision.is_unauthorized:
        cause = AccountPause.Cause.UNAUTHORIZED
    else:
        cause = AccountPause.Cause.THROTTLED
    Media.objects.mark_paused(lease, reason, cause=cause, length=decision.length)


def _retry(
    lease: Lease, error: SourceError | StorageError, decision: retry.Retry
) -> None:
    # Of a file without an announced digest or length, until a second fetch brings the same bytes.
    unconfirmed, after = lease.media.unconfirmed_sha256, decision.after
    if isinstance(error, UnconfirmedError):
        is_first = not unconfirmed
        after = CONFIRM_AFTER if is_first else after
        unconfirmed = error.sha256
    unkept_size = error.size if isinstance(error, NotSavedError) else None
    Media.objects.mark_retrying(
        lease,
        str(error),
        after,
        unconfirmed_sha256=unconfirmed,
        unkept_size=unkept_size,
    )


def _target(media: Media) -> FetchTarget:
    return FetchTarget(
        account=media.account,
        provider_media_id=media.provider_media_id,
        provider_message_id=media.provider_message_id,
        position=media.position,
        url=media.url,
        age=database_now() - media.announced_at,
    )
