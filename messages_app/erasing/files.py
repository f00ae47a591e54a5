"""The files of a person: objects, previews and public copies. Those of others are moved first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from media_app import identity, installation, moving, public_copies, record, tombstones
from media_app.failpoints import failpoint
from media_app.models import Media, MediaQuerySet
from media_app.purge import purge_deleted
from media_app.storage import Storage, StoredObject, media_storage
from messages_app.erasing.run import Run, WaitingError
from messages_app.models import Attachment

BATCH = 100
LISTED_AT_ONCE = 1000

REASON = "Its sender was erased."


def move_shared(run: Run) -> int:
    """Give each file that stays in another's message to that message's sender."""
    moved, storage = 0, media_storage()
    installation.check(storage)
    shared = list(run.person.shared_files().values_list("id", flat=True))
    # Also those that came in a message of another while the tombstones were kept.
    tombstones.remove(shared)
    for id in shared:
        for _ in run.patience():
            media = Media.objects.get(id=id)
            place = _new_place(media, run)
            # They may have sent it again themselves.
            if media.key == place.key_of(media):
                break
            if moving.move(media, storage, place):
                run.count(files_kept_for_others=1)
                moved += 1
                break
        else:
            raise WaitingError("A worker is at a file that belongs to others, too.")
    return moved


def _new_place(media: Media, run: Run) -> moving.Place:
    """Where the first message that stays would have put it."""
    own = run.person.messages().values("id")
    first = (
        Attachment.objects.filter(media=media)
        .exclude(message__in=own)
        .select_related("message")
        .order_by("message__occurred_at", "message_id")
        .first()
    )
    if first is None:
        raise WaitingError("The message of another, with the same file, is gone.")
    return moving.Place(
        owner=first.message.owner or identity.UNKNOWN_OWNER,
        occurred_at=first.message.occurred_at,
        provider_message_id=first.message.provider_message_id,
        position=first.position,
    )


def delete_files(run: Run) -> int:
    """Delete the objects, previews and public copies of all files. Their rows stay for now: a
    worker that puts an object after this sees that its file is deleted, and removes it again.
    """
    ids = list(run.person.files().values_list("id", flat=True))
    deleted = 0
    for start in range(0, len(ids), BATCH):
        run.go_on()
        failpoint("erase_before_mark")
        with run.contacts_locked():
            batch = _still_theirs(run, ids[start : start + BATCH])
            batch.mark_deleted(REASON)
        failpoint("erase_after_mark")
        _remove_public_copies(batch.exclude(public_key=""))
        before = batch.unpurged().count()
        _purge(run, [*batch.values_list("id", flat=True)])
        run.count(files=before)
        deleted += before
        failpoint("erase_within_files")
    return deleted


def _still_theirs(run: Run, ids: Collection[UUID]) -> MediaQuerySet:
    """Without the files that came in a message of another meanwhile. Locks the rows: whoever
    announces one again waits, and finds it deleted.
    """
    rows = Media.objects.filter(id__in=ids).order_by("id").select_for_update()
    locked = list(rows.values_list("id", flat=True))
    theirs = run.person.files().filter(id__in=locked)
    return Media.objects.filter(id__in=list(theirs.values_list("id", flat=True)))


def _remove_public_copies(files: Iterable[Media]) -> None:
    for media in files:
        if not public_copies.remove(media):
            raise WaitingError(
                "A public copy is being made, or could not be removed lately. "
                "It is tried again within five minutes."
            )


def _purge(run: Run, ids: list[UUID]) -> None:
    """Raises StorageError where the storage is down, or not ours."""
    installation.check(media_storage())
    files = Media.objects.filter(id__in=ids)
    for _ in run.patience():
        purge_deleted(files)
        left = files.unpurged()
        if not left.exists():
            return
        if left.unclaimed().exists():
            raise WaitingError("The storage did not delete all objects.")
    raise WaitingError("Workers are still at some of the files.")


def delete_unknown_objects(run: Run) -> int:
    """Delete what else is under the person's prefixes: objects without a row, and previews without
    a file. Objects of later messages stay.
    """
    storage = media_storage()
    installation.check(storage)
    deleted = 0
    for prefix in run.person.prefixes():
        for keys in batches(each.key for each in storage.list(prefix)):
            run.go_on()
            if gone := list(_erasable(unknown(keys), run, storage)):
                storage.delete(gone)
                run.count(objects_without_rows=len(gone))
                deleted += len(gone)
                failpoint("erase_within_objects")
    return deleted


def _erasable(keys: Iterable[str], run: Run, storage: Storage) -> Iterator[str]:
    """Without the objects of later messages. Previews are made again."""
    for key in keys:
        if not key.startswith(identity.PREVIEWS):
            found = storage.head(key)
            if found is not None and is_later(found, run.person.until):
                continue
        yield key


def is_later(found: StoredObject, until: datetime) -> bool:
    """Whether an object says that its file reached the hub after the erasure: its row may be
    missing because an older database was restored. What says nothing of itself is erased.
    """
    try:
        told = record.decode(found.metadata or {}, keys=settings.MEDIA_METADATA_KEYS)
        return datetime.fromtimestamp(told.announced_at, UTC) > until
    except (TypeError, ValueError, OverflowError, OSError):
        return False


def batches(keys: Iterable[str]) -> Iterator[list[str]]:
    # Listed to the end before anything is deleted: a listing must not change while it is read.
    listed = iter(list(keys))
    while batch := list(islice(listed, LISTED_AT_ONCE)):
        yield batch


def unknown(keys: Iterable[str]) -> list[str]:
    """The keys of objects and previews that belong to no row. A row is there before its object
    is put, so whatever is put now is known; that of an import comes after it, and an import looks
    whether its object is still there.
    """
    originals = {key: _original(key) for key in keys}
    rows = Media.objects.filter(key__in=set(originals.values()))
    known = set(rows.filter(~_purged()).values_list("key", flat=True))
    return [key for key, original in originals.items() if original not in known]


def _purged() -> Q:
    return Q(state=Media.State.DELETED, purged_at__lte=Now())


def _original(key: str) -> str:
    """Of a preview, the key of its file."""
    if key.startswith(identity.PREVIEWS):
        return key.removeprefix(identity.PREVIEWS).rpartition("/")[0]
    return key
