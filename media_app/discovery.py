"""The files of one sender, from the storage alone: found and deleted by the prefix of their keys.

For when the database is lost, or may be wrong. A file is an object with a key of ours; others below
the prefix are neither found nor deleted. Only the database knows which contacts are on hold: check
that before deleting.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from media_app.identity import (
    PREVIEWS,
    UNKNOWN_OWNER,
    owner_of,
    owner_prefix,
    parse_key,
)
from media_app.storage import (
    DeleteError,
    Storage,
    StorageError,
    StoredObject,
    media_storage,
)

log = logging.getLogger(__name__)

# Keys in one request, and the most that one failure concerns. S3 accepts 1,000.
BATCH = 1000
# ``previews/{key of the file}/{name}``.
_PREVIEW = re.compile(rf"{PREVIEWS}(?P<key>[^/]+/[^/]+)/[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One file, by what its key and the listing say."""

    key: str
    #: The provider's time, in whole seconds.
    occurred_at: datetime
    #: Its place in its message.
    index: int
    #: The first 12 digits of its id.
    hex: str
    extension: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted:
    """The outcome of a deletion."""

    #: The keys of the files that were there and are gone.
    files: tuple[str, ...]
    #: How many previews were there and are gone.
    previews: int
    #: The keys of files and previews that may still be there, with the reasons.
    remaining: Mapping[str, str]


def found(
    owner: str, *, since: datetime | None = None, storage: Storage | None = None
) -> Iterator[Found]:
    """The files of one owner in the order of their keys: the oldest first.

    ``since`` (aware) leaves out what the provider dates before that second. ``owner`` is exactly as
    keys have it, or UNKNOWN_OWNER for the files whose sender nobody knows. Raises ValueError for
    another form of an owner or a naive time; StorageError while listing.
    """
    if owner not in (owner_of(owner), UNKNOWN_OWNER):
        raise ValueError(f"not an owner as keys have it: {owner!r}")
    first_second = _second(since)
    objects = (storage or media_storage()).list(owner_prefix(owner))
    files = (file for each in objects if (file := _file(each)) is not None)
    return (file for file in files if file.occurred_at.timestamp() >= first_second)


def delete(
    owner: str, *, since: datetime | None = None, storage: Storage | None = None
) -> Deleted:
    """Delete the files of one owner and their previews, also those whose file is gone already.

    What cannot be deleted is left, and named: the next run tries again. Raises ValueError as
    ``found`` does, and for UNKNOWN_OWNER, who is many people; StorageError when the objects cannot
    be listed.
    """
    if owner == UNKNOWN_OWNER:
        raise ValueError("files of unknown senders are not one sender's")
    storage = storage or media_storage()
    files = [file.key for file in found(owner, since=since, storage=storage)]
    remaining = _remove(files, storage)
    # Listed when the originals are gone: nobody can make another preview of them now.
    previews = [*_previews(owner, _second(since), storage)]
    remaining |= _remove(previews, storage)
    if remaining:
        log.warning(
            "not all of a sender's files could be deleted",
            extra={"remaining": len(remaining)},
        )
    return Deleted(
        files=tuple(key for key in files if key not in remaining),
        previews=sum(key not in remaining for key in previews),
        remaining=remaining,
    )


def _file(each: StoredObject) -> Found | None:
    key = parse_key(each.key)
    if key is None:
        return None
    try:
        occurred_at = datetime.fromtimestamp(key.timestamp, UTC)
    except ValueError:
        # Twelve digits may be a year that no calendar has: no key that we made.
        return None
    return Found(
        key=each.key,
        occurred_at=occurred_at,
        index=key.index,
        hex=key.hex,
        extension=key.extension,
        size=each.size,
    )


def _previews(owner: str, first_second: int, storage: Storage) -> Iterator[str]:
    for each in storage.list(PREVIEWS + owner_prefix(owner)):
        match = _PREVIEW.fullmatch(each.key)
        key = parse_key(match["key"]) if match else None
        if key is not None and key.timestamp >= first_second:
            yield each.key


def _second(since: datetime | None) -> int:
    """The second of a time, as keys are dated; 0 for none."""
    if since is None:
        return 0
    if since.tzinfo is None:
        raise ValueError("a time without a zone could be any of 24 hours")
    return int(since.timestamp())


def _remove(keys: list[str], storage: Storage) -> dict[str, str]:
    """Delete the objects; those that may remain, with the reasons."""
    remaining: dict[str, str] = {}
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        try:
            storage.delete(batch)
        except DeleteError as error:
            remaining |= dict.fromkeys(error.keys, str(error))
        except StorageError as error:
            # Not even the storage knows how far it came.
            remaining |= dict.fromkeys(batch, str(error))
    return remaining
