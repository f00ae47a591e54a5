"""The row of a file, made again from its object alone: for when the database has lost it.

What an object carries is written down in ``media_app.record``. Attempts, links and previews begin
anew; the digest and the size that the provider announced are not in the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.core.exceptions import ValidationError

from media_app import retry
from media_app.details import flat
from media_app.digests import digest_hex
from media_app.identity import parse_key
from media_app.models import Media
from media_app.record import Record, decode
from media_app.sources import SOURCES
from media_app.storage import StoredObject


class ContradictionError(ValueError):
    """Key, size and metadata of an object do not belong together. The text is without personal
    data.
    """


def row_of(found: StoredObject, *, keys: Sequence[str]) -> Media:
    """The row of the file whose object this is: stored, and not saved yet.

    ``found`` is from ``Storage.head``; ``keys`` are MEDIA_METADATA_KEYS. The bytes are not read:
    the digest is what the metadata says. Raises RecordError where there is no metadata that can be
    read (some servers lose it), ContradictionError.
    """
    metadata = found.metadata or {}
    record = decode(metadata, keys=keys)
    try:
        id = UUID(metadata.get("media-id", ""))
        row = _row(found, record, id=id, sha256=metadata.get("sha256", ""))
        row.clean_fields()
    except (TypeError, ValueError, OverflowError, OSError, ValidationError) as error:
        raise ContradictionError("the record has a value that no file has") from error
    _check(row, found)
    return row


def _row(found: StoredObject, record: Record, *, id: UUID, sha256: str) -> Media:
    occurred_at = datetime.fromtimestamp(record.occurred_at, UTC)
    announced_at = datetime.fromtimestamp(record.announced_at, UTC)
    source = SOURCES.get(record.source)
    expires_at = None
    if source is not None and source.lifetime is not None:
        expires_at = occurred_at + source.lifetime
    return Media(
        id=id,
        source=record.source,
        account=record.account,
        provider_media_id=record.provider_media_id,
        provider_message_id=record.provider_message_id,
        position=record.position,
        owner=record.owner,
        occurred_at=occurred_at,
        time_assumed=record.time_assumed,
        key=found.key,
        announced_type=record.announced_type,
        announced_at=announced_at,
        filename=record.filename,
        details=flat(record.details),
        url=record.url,
        expires_at=expires_at,
        give_up_at=retry.give_up_at(announced_at, expires_at),
        state=Media.State.STORED,
        sha256=sha256,
        size=record.size,
        content_type=record.content_type,
        type_differs=record.type_differs,
        stored_at=found.modified,
    )


def _check(row: Media, found: StoredObject) -> None:
    key = parse_key(found.key)
    if key is None:
        raise ContradictionError("the key is not one of ours")
    if not key.names(row.id):
        raise ContradictionError("the key is another file's than the metadata")
    if key.owner != row.owner:
        raise ContradictionError("the key is another owner's than the record")
    if found.size != row.size:
        raise ContradictionError(
            f"the object has {found.size:,} bytes, the record says {row.size:,}"
        )
    if not row.sha256 or digest_hex(row.sha256) != row.sha256:
        raise ContradictionError("the metadata has no digest")
