"""Giving a file to another owner: its object goes under that owner's prefix, by a new key."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from tempfile import TemporaryFile

from django.db.models.functions import Now

from media_app import identity
from media_app.failpoints import failpoint
from media_app.ingest.adoption import VerifiedFile
from media_app.ingest.saving import metadata_of
from media_app.models import Media
from media_app.previews import SIZES, preview_key
from media_app.storage import Storage, StoredObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Who sent a file, when, and where it stands in their message."""

    owner: str
    occurred_at: datetime
    provider_message_id: str
    position: int

    def key_of(self, media: Media) -> str:
        return identity.media_key(
            owner=self.owner,
            occurred_at=self.occurred_at,
            index=self.position,
            id=media.id,
            extension=media.key.rpartition(".")[2],
        )


def move(media: Media, storage: Storage, place: Place) -> bool:
    """Make the file another owner's, as a message of theirs announced it. The id stays.

    The new object is put before the row changes, and the old one is deleted after it: whoever dies
    in between leaves a file that can be read. False when a worker is at the file, or it changed
    meanwhile: try again later. Raises StorageError.
    """
    before = media.key
    media.key = place.key_of(media)
    for name, value in asdict(place).items():
        setattr(media, name, value)
    # The object of a deleted file that waits can still be restored.
    if media.is_stored or media.waits_for_purge:
        _copy(media, storage, before)
    failpoint("move_after_copy")
    free = Media.objects.all().unclaimed().filter(id=media.id, key=before)
    same = free.filter(state=media.state, purged_at=media.purged_at)
    moved = same.update(
        **asdict(place),
        key=media.key,
        preview_due_at=Now() if media.content_type.startswith("image/") else None,
    )
    failpoint("move_after_row")
    if moved:
        former = Media(key=before)
        storage.delete([before, *(preview_key(former, size) for size in SIZES)])
    return moved == 1


def _copy(media: Media, storage: Storage, key: str) -> None:
    """Without an old object there is nothing to copy: the next viewer finds that out."""
    found = storage.head(key)
    opened = storage.open_range(key) if found is not None else None
    if opened is None or found is None:
        return
    with TemporaryFile() as body:
        with closing(opened):
            for chunk in opened.chunks():
                body.write(chunk)
        storage.put(
            media.key,
            body,
            size=opened.total,
            content_type=media.content_type,
            metadata=metadata_of(media, _as_stored(media, found)),
            replace=True,
        )


def _as_stored(media: Media, found: StoredObject) -> VerifiedFile:
    return VerifiedFile(
        key=media.key,
        sha256=media.sha256,
        size=found.size,
        content_type=media.content_type,
        type_differs=media.type_differs,
    )
