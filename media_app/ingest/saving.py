"""Putting a verified file into the storage, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from django.conf import settings

from media_app.ingest.adoption import VerifiedFile, adopt, read_if_digest_matches
from media_app.models import Media
from media_app.record import Record, encode
from media_app.spool import Spool, check_room
from media_app.storage import ObjectExistsError, Storage, StorageError, StoredObject


class NotSavedError(StorageError):
    """A fetched file was not saved, here or in the storage, mostly for lack of room: before the
    next download both are probed.
    """

    def __init__(self, error: StorageError, size: int) -> None:
        super().__init__(str(error))
        self.size = size


def raise_if_no_room(storage: Storage, size: int) -> None:
    """Raises NotSavedError where there is no room for so many bytes now."""
    try:
        check_room(size)
        storage.probe(size)
    except StorageError as error:
        raise NotSavedError(error, size) from error


def save(
    storage: Storage,
    media: Media,
    fetched: VerifiedFile,
    spool: Spool,
    existing: Sequence[StoredObject],
    raise_if_past_deadline: Callable[[], None],
) -> VerifiedFile:
    """Put the file, unless its bytes are there already; returns it with the key where it is.

    ``existing`` objects could not be adopted before the fetch. Raises StorageError.
    """
    for found in existing:
        head = read_if_digest_matches(
            storage, found, fetched.sha256, raise_if_past_deadline
        )
        if head is not None:
            return replace(fetched, key=found.key)
    if existing:
        # The right bytes replace the wrong ones, under their key: one file, one object.
        fetched = replace(fetched, key=existing[0].key)
    try:
        _put(
            storage, media, fetched, spool, raise_if_past_deadline, over=bool(existing)
        )
    except ObjectExistsError:
        # Another worker was faster. Where no digest was announced, the first object stays.
        found_now = storage.head(fetched.key)
        if found_now is not None:
            adopted = adopt(storage, found_now, media, raise_if_past_deadline)
            if adopted is not None:
                return adopted
        _put(storage, media, fetched, spool, raise_if_past_deadline, over=True)
    return fetched


def _put(
    storage: Storage,
    media: Media,
    fetched: VerifiedFile,
    spool: Spool,
    raise_if_past_deadline: Callable[[], None],
    *,
    over: bool,
) -> None:
    metadata = metadata_of(media, fetched)
    try:
        storage.put(
            fetched.key,
            spool.body(raise_if_past_deadline),
            size=fetched.size,
            content_type=fetched.content_type,
            metadata=metadata,
            replace=over,
        )
    except StorageError:
        # The client tells that the body broke off, not that the time was up.
        raise_if_past_deadline()
        raise


def metadata_of(media: Media, fetched: VerifiedFile) -> dict[str, str]:
    """What travels with the object of this file."""
    return encode(
        _record_of(media, fetched),
        id=media.id,
        sha256=fetched.sha256,
        keys=settings.MEDIA_METADATA_KEYS,
    )


def _record_of(media: Media, fetched: VerifiedFile) -> Record:
    """What travels with the object of this row, whose bytes are ``fetched``."""
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
        details=media.details,
    )
