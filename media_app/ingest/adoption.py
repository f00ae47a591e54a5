"""Objects that are there already: found, verified, and used as the file of a row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from media_app import filetypes, identity
from media_app.models import Media
from media_app.storage import Storage, StoredObject


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedFile:
    """A file whose bytes are verified, under its key in the storage."""

    key: str
    sha256: str
    size: int
    content_type: str
    type_differs: bool


def find_objects(
    storage: Storage, media: Media, raise_if_past_deadline: Callable[[], None]
) -> list[StoredObject]:
    """The objects of this file, under any key of its owner, with their metadata. There is at most
    one, unless something went wrong.

    A row that was made again (the database was lost, the provider sends no time) may have
    another key than the object that is already there.
    """
    keys = []
    for listed in storage.list(identity.owner_prefix(media.owner)):
        raise_if_past_deadline()
        key = identity.parse_key(listed.key)
        if key is not None and key.names(media.id):
            keys.append(listed.key)
    # The row's own key first.
    keys.sort(key=lambda key: key != media.key)
    found = []
    for each in keys:
        raise_if_past_deadline()
        head = storage.head(each)
        if head is not None and _is_of(head, media):
            found.append(head)
    return found


def _is_of(found: StoredObject, media: Media) -> bool:
    # The key has 12 digits of the id; the metadata has them all.
    id = str(media.id)
    return (found.metadata or {}).get("media-id", id) == id


def adopt(
    storage: Storage,
    found: StoredObject,
    media: Media,
    raise_if_past_deadline: Callable[[], None],
) -> VerifiedFile | None:
    """The object as the file of this row, if it is whole and right; else None.

    Where the object has no metadata (some servers lose it), the row has to know the digest.
    """
    known = media.announced_sha256 or media.sha256
    sha256 = (found.metadata or {}).get("sha256") or known
    if not sha256 or (media.announced_sha256 and sha256 != media.announced_sha256):
        return None
    head = read_if_digest_matches(storage, found, sha256, raise_if_past_deadline)
    if head is None:
        return None
    content_type, type_differs = filetypes.decide_type(
        media.announced_type or found.content_type, filetypes.sniff(head)
    )
    return VerifiedFile(
        key=found.key,
        sha256=sha256,
        size=found.size,
        content_type=content_type,
        type_differs=type_differs,
    )


def read_if_digest_matches(
    storage: Storage,
    found: StoredObject,
    sha256: str,
    raise_if_past_deadline: Callable[[], None],
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
            raise_if_past_deadline()
            digest.update(chunk)
            head = head or chunk[: filetypes.HEAD]
    finally:
        opened.close()
    return head if digest.hexdigest() == sha256 else None
