"""Making and removing the copies of public files: repeatable, whatever is killed in between.

A row is claimed with a lease, and the key of its copy is committed before the copy is made: what a
killed worker leaves behind is found by its key. Each copy has a new random key, so a worker that
comes late never confirms or removes the copy of another one. The bucket is asked outside of any
transaction.
"""

from __future__ import annotations

import logging
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from media_app import filetypes
from media_app.clock import just_after
from media_app.failpoints import failpoint
from media_app.models import CONCERNS_PUBLIC, Media, MediaQuerySet
from media_app.publication import Step, next_step, public_bucket
from media_app.serving import revive_lost
from media_app.storage import S3Storage, StorageError, media_storage
from media_app.timing import PUBLIC_COPY_LEASE

log = logging.getLogger(__name__)

FILES_PER_JOB = 100
# How long caches keep a copy after it is removed.
CACHE_CONTROL = "public, max-age=300"


def due() -> MediaQuerySet:
    """Files whose public copy has to be made or removed, and that no worker has claimed."""
    return _due(public_bucket())


def sync() -> int:
    """Make and remove the copies that are due, of FILES_PER_JOB files at most; returns for how many
    files.

    It ends at the first failure, which is saved with the file. The lease of that file is kept, so
    that it is tried again only when the lease has expired: that is its pause.
    """
    done = 0
    while done < FILES_PER_JOB and (claimed := _claim()) is not None:
        step, media = claimed
        failpoint("public_copy_after_claim")
        try:
            if step == Step.COPY:
                _copy(media)
            else:
                _remove(media)
        except StorageError as error:
            _of(media).update(public_error=str(error))
            log.error(
                "no public copy was made or removed",
                extra={"media": str(media.id), "error": str(error)},
            )
            break
        done += 1
    return done


def remove(media: Media) -> bool:
    """Remove the copy of one file now; False while a worker has claimed it. Raises StorageError."""
    if not media.public_key:
        return True
    is_free = Q(public_lease_until=None) | Q(public_lease_until__lt=Now())
    lease = Now() + PUBLIC_COPY_LEASE
    if not _of(media).filter(is_free).update(public_lease_until=lease):
        return False
    _remove(media)
    return True


def _due(bucket: str) -> MediaQuerySet:
    is_stored = Q(state=Media.State.STORED)
    is_incomplete = Q(published_at=None) | Q(published_at__lt=F("stored_at"))
    to_remove = ~Q(public_key="") & (
        Q(is_public=False) | ~is_stored | ~Q(public_bucket=bucket) | is_incomplete
    )
    to_copy = Q(is_public=True, public_key="") & is_stored
    to_do = to_remove
    if bucket:
        to_do |= to_copy
    is_free = Q(public_lease_until=None) | Q(public_lease_until__lt=Now())
    return Media.objects.filter(CONCERNS_PUBLIC, is_free, to_do)


def _claim() -> tuple[Step, Media] | None:
    """The file that has waited longest, claimed for PUBLIC_COPY_LEASE. One to copy has a new key
    already.
    """
    bucket = public_bucket()
    with transaction.atomic():
        waiting = _due(bucket).order_by(F("public_lease_until").asc(nulls_first=True))
        media = waiting.select_for_update(skip_locked=True).first()
        if media is None or (step := next_step(media, bucket)) is None:
            return None
        if step == Step.COPY:
            media.public_bucket = bucket
            media.public_key = (
                f"{uuid4()}.{filetypes.extension_for(media.content_type)}"
            )
        Media.objects.filter(id=media.id).update(
            public_bucket=media.public_bucket,
            public_key=media.public_key,
            public_lease_until=Now() + PUBLIC_COPY_LEASE,
        )
    return step, media


def _copy(media: Media) -> None:
    """Make the copy, and remove it again where the file was deleted, made private or stored again
    meanwhile.

    Raises StorageError.
    """
    # Without a name: browsers save it under the random one.
    disposition = "attachment"
    if media.content_type in filetypes.INLINE:
        disposition = "inline"
    storage = _bucket_storage()
    is_there = _public_storage(media).copy_from(
        storage.bucket,
        media.key,
        to=media.public_key,
        content_type=filetypes.served_as(media.content_type),
        disposition=disposition,
        cache_control=CACHE_CONTROL,
    )
    failpoint("public_copy_after_copy")
    if not is_there:
        # Then the file is missing, and the next worker clears the key of its copy.
        revive_lost(media)
        return
    assert media.stored_at is not None  # noqa: S101
    wanted = _of(media).filter(
        is_public=True,
        state=Media.State.STORED,
        stored_at__lt=just_after(media.stored_at),
    )
    if not wanted.update(published_at=Now(), public_lease_until=None, public_error=""):
        _remove(media)


def _remove(media: Media) -> None:
    """Raises StorageError."""
    _public_storage(media).delete([media.public_key])
    failpoint("public_copy_after_remove")
    _of(media).update(
        public_bucket="",
        public_key="",
        published_at=None,
        public_lease_until=None,
        public_error="",
    )


def _of(media: Media) -> MediaQuerySet:
    """The row, if its key is still that of this copy."""
    return Media.objects.filter(id=media.id, public_key=media.public_key)


def _public_storage(media: Media) -> S3Storage:
    """The bucket of the file's copy, reached with the login of the files' own bucket."""
    return S3Storage(_bucket_storage().client, media.public_bucket)


def _bucket_storage() -> S3Storage:
    storage = media_storage()
    if not isinstance(storage, S3Storage):
        # Only after the settings were changed while there were copies.
        raise StorageError(
            "The files are kept in a folder now: their public copies have to be removed by hand."
        )
    return storage
