"""One file from its provider into the bucket: claim, open, spool, verify, put, mark.

Any step may be the last one before the process dies, and any file may be worked on
twice at once. The order makes that harmless: the object is put before the row says
stored, and an object that is already there is adopted.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from django.conf import settings

from media_app import filetypes, identity, installation, retry
from media_app.clock import database_now
from media_app.failpoints import reached
from media_app.lease import kept
from media_app.models import AccountPause, Lease, Media
from media_app.purge import purge_deleted
from media_app.record import Record, encode
from media_app.sources import source
from media_app.sources.base import OpenedFile, Origin
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    SourceError,
    UnavailableError,
    WorkerLostError,
    WrongBytesError,
)
from media_app.spool import Spool, check_room, too_large
from media_app.storage import (
    ObjectExistsError,
    Storage,
    StorageError,
    StoredObject,
    media_storage,
)

log = logging.getLogger(__name__)

# 100 MB, the largest file that Meta takes in, at a third of a megabyte a second.
DEADLINE_SECONDS = 300
# What can only be compared with itself is soon asked for again.
COMPARE_AFTER = timedelta(seconds=1)


class UnconfirmedError(UnavailableError):
    """The body ended without saying that it was whole: only a second fetch can confirm it."""

    def __init__(self, sha256: str) -> None:
        super().__init__(
            "The provider did not say how long the file is. It is fetched again to compare."
        )
        self.sha256 = sha256


class NotKeptError(StorageError):
    """What was fetched found no room, here or in the storage: before the next download both are
    tried out.
    """

    def __init__(self, error: StorageError, size: int) -> None:
        super().__init__(str(error))
        self.size = size


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A file that lies in the bucket, known to be whole and right."""

    key: str
    sha256: str
    size: int
    content_type: str
    type_differs: bool


def ingest_next() -> Media | None:
    """Fetch the most urgent due file; None when nothing is due. Failures end on the row, not here.

    The returned file is ``is_stored`` when it was fetched.
    """
    lease = Media.objects.claim()
    if lease is None:
        return None
    with Spool(settings.MEDIA_MAX_BYTES) as spool:
        ingest(lease, spool)
    return lease.media


def ingest(lease: Lease, spool: Spool) -> None:
    """Bring one file into the bucket by way of ``spool``; failures end on the row.

    Then the lease's file ``is_stored``, with all that is known of it, or it is not. The spool stays
    empty where an object was adopted, and where the lease only ends the attempt of a worker that
    was lost.
    """
    if lease.is_lost:
        _fail(lease, WorkerLostError())
        return
    reached("ingest_after_claim")
    deadline = Deadline(DEADLINE_SECONDS)
    try:
        with kept(lease, deadline):
            found = _bring(lease.media, spool, deadline, media_storage())
        _finish(lease, found)
    except (SourceError, StorageError) as error:
        _fail(lease, error)
    except Exception:
        # A defect of ours, or the job's own time-out: the file is still there to be had.
        _fail(
            lease,
            UnavailableError(
                "Fetching stopped with an internal error; the log has the details."
            ),
        )
        raise


def _bring(media: Media, spool: Spool, deadline: Deadline, storage: Storage) -> Kept:
    """Raises SourceError, StorageError.

    The deadline binds the storage too: it is looked at between the objects listed, the chunks read
    and the chunks written. What it can't cut is a call that waits: a silent bucket ends with its
    own time-outs, 15 s after the last byte, and is asked a second time; one that drips its answers,
    with the job's time-out.
    """

    def in_time() -> None:
        # A storage that is slow is waited for like one that is down: never a reason to give the
        # file up.
        try:
            deadline.check()
        except UnavailableError as error:
            raise StorageError(f"Keeping the file was cut short: {error}") from error

    installation.check(storage)
    existing = _find(storage, media, in_time)
    for candidate in existing:
        if (adopted := _adopt(storage, candidate, media, in_time)) is not None:
            return adopted
    if media.unkept_size is not None:
        # A full disk must not cost one download after the other.
        _probe(storage, media.unkept_size)
    with source(media.source).open(_origin(media), deadline) as opened:
        if opened.size is not None and opened.size > settings.MEDIA_MAX_BYTES:
            raise too_large(settings.MEDIA_MAX_BYTES)
        try:
            spool.fill(opened.chunks, expected=opened.size)
        except StorageError as error:
            raise NotKeptError(error, max(spool.size, opened.size or 0)) from error
    sniffed = filetypes.sniff(spool.head())
    verify(media, opened, spool, sniffed)
    spool.is_verified = True
    content_type, type_differs = filetypes.settle_type(
        media.announced_type or opened.content_type, sniffed
    )
    fetched = Kept(
        key=media.key,
        sha256=spool.sha256,
        size=spool.size,
        content_type=content_type,
        type_differs=type_differs,
    )
    deadline.check()
    # It may have gone while the file came.
    installation.check(storage)
    reached("ingest_before_put")
    try:
        return _put(storage, media, fetched, spool, existing, in_time)
    except StorageError as error:
        raise NotKeptError(error, fetched.size) from error


def verify(media: Media, opened: OpenedFile, spool: Spool, sniffed: str) -> None:
    """Whether what came is what was announced, by the message or else by its source: its digest,
    else its length, else a proper end.

    Raises WrongBytesError, UnavailableError (an error page in its place), UnconfirmedError.
    """
    # The message is signed: what its source says of the file counts only where the message is
    # silent.
    digest = media.announced_sha256 or opened.sha256
    if digest:
        if spool.sha256 != digest:
            raise WrongBytesError(
                "What came is not the file that was announced: its SHA-256 differs."
            )
        return
    if spool.size == 0:
        raise UnavailableError("The provider sent an empty file.")
    if filetypes.looks_like_an_error_page(sniffed, media.announced_type):
        raise UnavailableError(
            f"The provider sent {sniffed} where a file was announced."
        )
    size = opened.size if media.announced_size is None else media.announced_size
    if size is not None:
        if spool.size != size:
            raise WrongBytesError(
                f"{size:,} bytes were announced, {spool.size:,} came."
            )
        return
    if not opened.delimited and spool.sha256 != media.unconfirmed_sha256:
        raise UnconfirmedError(spool.sha256)


def _find(
    storage: Storage, media: Media, in_time: Callable[[], None]
) -> list[StoredObject]:
    """The objects of this file, under whatever key below its owner, with their metadata: one, if
    all went well.

    A row made anew (the database was lost, the provider sends no time) may have got
    another key than the object that is already there.
    """
    keys = []
    for candidate in storage.list(identity.owner_prefix(media.owner)):
        in_time()
        if (key := identity.parse_key(candidate.key)) is not None and key.names(
            media.id
        ):
            keys.append(candidate.key)
    heads = []
    for found in sorted(keys, key=lambda key: key != media.key):
        in_time()
        heads.append(storage.head(found))
    # The key has 12 digits of the id; the metadata has them all.
    return [
        head
        for head in heads
        if head
        and (head.metadata or {}).get("media-id", str(media.id)) == str(media.id)
    ]


def _adopt(
    storage: Storage, found: StoredObject, media: Media, in_time: Callable[[], None]
) -> Kept | None:
    """Take over an object that is already there, if it is whole and right; else None."""
    sha256 = (found.metadata or {}).get("sha256") or media.announced_sha256
    if not sha256 or (media.announced_sha256 and sha256 != media.announced_sha256):
        return None
    head = _digest_matches(storage, found, sha256, in_time)
    if head is None:
        return None
    content_type, type_differs = filetypes.settle_type(
        media.announced_type or found.content_type, filetypes.sniff(head)
    )
    return Kept(
        key=found.key,
        sha256=sha256,
        size=found.size,
        content_type=content_type,
        type_differs=type_differs,
    )


def _digest_matches(
    storage: Storage, found: StoredObject, sha256: str, in_time: Callable[[], None]
) -> bytes | None:
    """The object's first bytes if its content has this digest, else None. Reads it whole: adopting
    is rare.
    """
    opened = storage.open_range(found.key)
    if opened is None:
        return None
    digest, head = hashlib.sha256(), b""
    try:
        for chunk in opened.chunks():
            in_time()
            digest.update(chunk)
            head = head or chunk[: filetypes.HEAD]
    finally:
        opened.close()
    return head if digest.hexdigest() == sha256 else None


def _probe(storage: Storage, size: int) -> None:
    """Raises NotKeptError where the storage would not keep so many bytes now either."""
    try:
        check_room(size)
        storage.probe(size)
    except StorageError as error:
        raise NotKeptError(error, size) from error


def _put(
    storage: Storage,
    media: Media,
    fetched: Kept,
    spool: Spool,
    existing: Sequence[StoredObject],
    in_time: Callable[[], None],
) -> Kept:
    """Write the file, unless it is there. ``existing`` objects could not be adopted by
    themselves.
    """
    for candidate in existing:
        if _digest_matches(storage, candidate, fetched.sha256, in_time) is not None:
            return replace(fetched, key=candidate.key)
    if existing:
        # Wrong bytes give way to the right ones, in their place: one file, one object.
        fetched = replace(fetched, key=existing[0].key)
    metadata = encode(
        _record(media, fetched),
        id=media.id,
        sha256=fetched.sha256,
        keys=settings.MEDIA_METADATA_KEYS,
    )

    def write(*, over: bool) -> None:
        try:
            storage.put(
                fetched.key,
                spool.body(in_time),
                size=fetched.size,
                content_type=fetched.content_type,
                metadata=metadata,
                replace=over,
            )
        except StorageError:
            # The bucket's client tells of a body that broke off, not why.
            in_time()
            raise

    try:
        write(over=bool(existing))
    except ObjectExistsError:
        # Another worker was faster. Where only the transfers can say what is right, the first one
        # stays.
        there = storage.head(fetched.key)
        if (
            there is not None
            and (adopted := _adopt(storage, there, media, in_time)) is not None
        ):
            return adopted
        write(over=True)
    return fetched


def _finish(lease: Lease, found: Kept) -> None:
    reached("ingest_after_put")
    media, is_late = lease.media, not Media.objects.holds(lease)
    stored = Media.objects.mark_stored(
        lease,
        key=found.key,
        sha256=found.sha256,
        size=found.size,
        content_type=found.content_type,
        type_differs=found.type_differs,
    )
    if not stored:
        if Media.objects.put_too_late(lease, found.key):
            log.info(
                "deleted while it was fetched: the object is removed again",
                extra={"media": str(media.id)},
            )
            purge_deleted(Media.objects.filter(id=media.id))
        return
    if is_late and media_storage().head(found.key) is None:
        # Our object was deleted with the file, which came back since then.
        installation.check(media_storage())
        if Media.objects.mark_missing(media.id):
            Media.objects.filter(id=media.id).revive()
        return
    media.state = Media.State.STORED
    for name, value in asdict(found).items():
        setattr(media, name, value)
    reached("ingest_after_mark")
    log.info(
        "stored",
        extra={"media": str(media.id), "size": found.size, "attempts": media.attempts},
    )


def _fail(lease: Lease, error: SourceError | StorageError) -> None:
    media = lease.media
    decision = retry.decide(
        error,
        attempts=media.attempts,
        repeated=media.last_error == str(error),
        announced_at=media.announced_at,
        expires_at=media.expires_at,
        give_up_at=media.give_up_at,
        now=database_now(),
        luck=random.random(),  # noqa: S311
    )
    reason = str(error)
    reached("ingest_before_fail")
    if lease.is_trial and retry.shows_a_working_account(error):
        # Not a success; but a file that is gone must not use up one trial after the other.
        AccountPause.objects.lift(source=media.source, account=media.account)
    if isinstance(decision, retry.PauseAccount):
        cause = (
            AccountPause.Cause.UNAUTHORIZED
            if decision.is_unauthorized
            else AccountPause.Cause.THROTTLED
        )
        Media.objects.mark_paused(lease, reason, cause=cause, length=decision.length)
    elif isinstance(decision, retry.Again):
        unconfirmed, after = media.unconfirmed_sha256, decision.after
        if isinstance(error, UnconfirmedError):
            after = after if unconfirmed else COMPARE_AFTER
            unconfirmed = error.sha256
        unkept_size = error.size if isinstance(error, NotKeptError) else None
        Media.objects.mark_retrying(
            lease,
            reason,
            after,
            unconfirmed_sha256=unconfirmed,
            unkept_size=unkept_size,
        )
    elif decision is retry.End.EXPIRED:
        Media.objects.mark_expired(lease, reason)
    else:
        Media.objects.mark_rejected(lease, reason)
    log.warning(
        "not fetched",
        extra={
            "media": str(media.id),
            "error": type(error).__name__,
            "attempts": media.attempts,
        },
    )


def _origin(media: Media) -> Origin:
    return Origin(
        account=media.account,
        provider_media_id=media.provider_media_id,
        provider_message_id=media.provider_message_id,
        position=media.position,
        url=media.url,
        age=database_now() - media.announced_at,
    )


def _record(media: Media, fetched: Kept) -> Record:
    return Record(
        source=media.source,
        account=media.account,
        provider_media_id=media.provider_media_id,
        provider_message_id=media.provider_message_id,
        position=media.position,
        owner=media.owner,
        occurred_at=media.occurred_at.timestamp(),
        time_assumed=media.time_assumed,
        announced_at=media.announced_at.timestamp(),
        announced_type=media.announced_type,
        filename=media.filename,
        url=media.url,
        size=fetched.size,
        content_type=fetched.content_type,
        type_differs=fetched.type_differs,
    )
