"""Storing the files that the readers yield."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db import connection, transaction

from media_app import backfill, files
from media_app.announce import Announcement, announce
from media_app.clock import database_now
from media_app.files import Description, ErasedError
from media_app.imports.items import Item, place
from media_app.models import Media
from media_app.sources.errors import RefusedAddressError, TooLargeError
from media_app.sources.hosts import address_of
from media_app.storage import StorageError

log = logging.getLogger(__name__)

#: Files of so many bytes and more are reported.
LARGE = 10_000_000


class Result(StrEnum):
    """What became of an item; the value is its name among a run's numbers."""

    STORED = "stored"
    KNOWN = "known"
    STORED_AGAIN = "stored_again"
    #: Deleted here, or erased: it stays so.
    DELETED = "deleted"
    ERASED = "erased"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What became of one item."""

    number: int
    path: str
    result: Result
    key: str = ""
    size: int = 0
    #: Why it failed: for programs, and for people.
    reason: str = ""
    error: str = ""
    #: The details for which its object had no room.
    left_out: str = ""

    @property
    def is_large(self) -> bool:
        return self.size >= LARGE

    @property
    def counts_as(self) -> tuple[str, ...]:
        """The numbers of a summary that it adds to."""
        names = ["_".join(filter(None, (self.result, self.reason)))]
        if self.is_large and self.result == Result.STORED:
            names.append("stored_of_10_mb_and_more")
        if self.left_out:
            names.append("with_details_left_out")
        return tuple(names)

    def __str__(self) -> str:
        said = [self.result, place(self.number, self.path), self.key]
        if self.is_large:
            said.append(f"({self.size:,} bytes)")
        text = " ".join(filter(None, said))
        if self.left_out:
            text = f"{text}: no room in the object for {self.left_out}"
        if self.error:
            text = f"{text}: {self.error}"
        return text


def import_item(item: Item) -> Imported:
    """Store one item, and close it. In a thread of its own: closes the connection.

    Raises StorageError: while the storage is down, all others would fail as well.
    """
    try:
        if item.body is not None:
            return _put(item)
        return _fetched(item)
    except ErasedError:
        return _ended(item, Result.ERASED)
    except TooLargeError as error:
        return _failed(item, "too_large", str(error))
    except RefusedAddressError as error:
        return _failed(item, "refused_address", str(error))
    except ValueError as error:
        return _failed(item, "broken", str(error))
    except StorageError:
        raise
    except Exception:
        # A defect of ours costs one file, not the run.
        log.exception("not imported")
        text = "Importing stopped with an internal error; the log has the details."
        return _failed(item, "internal", text)
    finally:
        item.close()
        connection.close()


def _put(item: Item) -> Imported:
    assert item.body is not None  # noqa: S101
    added = files.put_in(item.body, _description(item))
    media = added.media
    return _ended(item, Result(added.outcome), media, left_out=added.left_out)


def _fetched(item: Item) -> Imported:
    """Announce the file at the item's link, and fetch it now. What fails is left to workers."""
    files.check(_description(item))
    announcement = _announcement(item)
    id = announcement.id
    with transaction.atomic():
        if announce([announcement]):
            return _ended(item, Result.ERASED)
    media = Media.objects.get(id=id)
    if media.state == Media.State.STORED:
        return _ended(item, Result.KNOWN, media)
    if media.state == Media.State.DELETED:
        return _ended(item, Result.DELETED, media)
    attempted = backfill.attempt(id, Media.GIVEN_UP)
    if attempted.reason == backfill.STORAGE:
        raise StorageError(attempted.error)
    if attempted.is_left:
        return _failed(item, attempted.reason, attempted.error, id)
    result = Result.KNOWN
    if attempted.result == backfill.Result.STORED:
        result = Result.STORED
    return _ended(item, result, Media.objects.get(id=id))


def _announcement(item: Item) -> Announcement:
    _, host, _ = address_of(item.url)
    parts = (item.owner, item.own_id or "", item.url)
    place = hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()
    return Announcement(
        source="url",
        # A host that asks to slow down is left alone by itself.
        account=host,
        provider_media_id=place,
        provider_message_id="",
        position=0,
        owner=item.owner,
        occurred_at=item.occurred_at,
        time_assumed=item.time_assumed,
        announced_at=database_now(),
        content_type=item.content_type,
        filename=item.filename,
        details=item.details,
        url=item.url,
    )


def _description(item: Item) -> Description:
    return Description(
        owner=item.owner,
        occurred_at=item.occurred_at,
        time_assumed=item.time_assumed,
        filename=item.filename,
        content_type=item.content_type,
        details=item.details,
        own_id=item.own_id,
    )


def _ended(
    item: Item, result: Result, media: Media | None = None, *, left_out: str = ""
) -> Imported:
    key, size = "", 0
    if media is not None:
        key, size = media.key, media.size or 0
    return Imported(
        number=item.number,
        path=item.path,
        result=result,
        key=key,
        size=size,
        left_out=left_out,
    )


def _failed(item: Item, reason: str, error: str, id: UUID | None = None) -> Imported:
    key = ""
    if id is not None:
        key = Media.objects.get(id=id).key
    return Imported(
        number=item.number,
        path=item.path,
        result=Result.FAILED,
        key=key,
        reason=reason,
        error=error,
    )
