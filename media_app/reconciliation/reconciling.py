"""The walk with a second look: the hub works while its files are compared.

A row is read before its object is listed or looked at, and once more after it. What changed in
between is looked at again; what did not is a finding.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby, islice
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from media_app import installation
from media_app.identity import PREVIEWS, parse_key
from media_app.models import Media
from media_app.previews import original_key
from media_app.reconciliation.comparison import (
    RIGHT,
    Finding,
    Kind,
    compare,
    differing_facts,
)
from media_app.reconciliation.shares import Share
from media_app.reconciliation.walk import Pair, Row, pairs, row_now
from media_app.record import RecordError
from media_app.rows_of_objects import ContradictionError, row_of
from media_app.storage import Storage, StorageError, StoredObject

# Previews in one query.
BATCH = 500
# Findings that wait for one before them, whose object is looked at.
MAX_WAITING = 200
# How often something that keeps changing is looked at.
LOOKS = 3

NO_METADATA = "no metadata"


@dataclass(frozen=True, slots=True)
class Look:
    """What the storage says of one key."""

    found: StoredObject | None = None
    #: Of the bytes, where they were read.
    sha256: str = ""
    error: str = ""


def reconcile(
    storage: Storage,
    owner: str | None = None,
    *,
    share: Share | None = None,
    workers: int = 4,
) -> Iterator[Finding]:
    """What is found under each key, by key: of all files, or of one owner's.

    The files in ``share`` are read, and their metadata is compared, by so many ``workers`` at a
    time. Nothing is changed. Raises ForeignStorageError, and StorageError where the storage is down
    or can't be listed: what it did not say is no finding.
    """
    installation.check(storage)
    waiting: deque[tuple[Finding, bool, Future[Look] | None]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="reconcile") as pool:
        try:
            for finding in _first_findings(pairs(storage, owner)):
                reads = share is not None and _is_in(share, finding)
                look = None
                if reads or finding.kind not in RIGHT:
                    look = pool.submit(look_at, storage, finding.key, reads=reads)
                waiting.append((finding, reads, look))
                if len(waiting) > MAX_WAITING:
                    yield _concluded(storage, *waiting.popleft())
            while waiting:
                yield _concluded(storage, *waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def look_at(storage: Storage, key: str, *, reads: bool = False) -> Look:
    """The object under a key, and the digest of its bytes where they are to be read."""
    try:
        found = storage.head(key)
        if found is None or not reads:
            return Look(found)
        opened = storage.open_range(key)
        if opened is None:
            return Look()
        digest = hashlib.sha256()
        with closing(opened):
            for chunk in opened.chunks():
                digest.update(chunk)
    except StorageError as error:
        return Look(error=str(error))
    return Look(found, digest.hexdigest())


def _is_in(share: Share, finding: Finding) -> bool:
    """Whether the object of this file is to be read."""
    if finding.kind not in (Kind.SAME, Kind.UNKNOWN):
        return False
    key = parse_key(finding.key)
    return key is not None and share.includes(key.hex)


def _first_findings(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """What the two lists say, before anything is looked at again."""
    for are_previews, group in groupby(pairs, lambda pair: _is_preview(pair.key)):
        if are_previews:
            yield from _of_previews(group)
        else:
            yield from (compare(each.key, each.row, each.found) for each in group)


def _of_previews(pairs: Iterator[Pair]) -> Iterator[Finding]:
    while batch := list(islice(pairs, BATCH)):
        known = _with_rows({original_key(each.key) for each in batch})
        for each in batch:
            yield _preview(each.key, each.found, known)


def _preview(key: str, found: StoredObject | None, known: set[str]) -> Finding:
    if original_key(key) in known:
        return Finding(Kind.PREVIEW, key, found=found)
    return Finding(Kind.UNKNOWN, key, found=found, reason="a preview of no file")


def _is_preview(key: str) -> bool:
    return key.startswith(PREVIEWS)


def _with_rows(keys: set[str]) -> set[str]:
    """Those of the keys whose files have rows, and are not deleted and purged."""
    purged = Q(state=Media.State.DELETED, purged_at__isnull=False)
    files = Media.objects.filter(key__in=keys).exclude(purged)
    return set(files.values_list("key", flat=True))


def _concluded(
    storage: Storage, finding: Finding, reads: bool, looking: Future[Look] | None
) -> Finding:
    """The finding, after its object and its row were looked at again."""
    if looking is None:
        return finding
    key, row, look = finding.key, finding.row, looking.result()
    for _ in range(LOOKS):
        if look.error:
            # Of a storage that is down no single file is told.
            installation.check(storage)
            return Finding(Kind.ERROR, key, row, finding.found, look.error)
        now = row_now(key=key)
        if now == row:
            return _confirmed(storage, key, row, look)
        row, look = now, look_at(storage, key, reads=reads)
    return Finding(Kind.CHANGING, key, row, look.found)


def _confirmed(storage: Storage, key: str, row: Row | None, look: Look) -> Finding:
    """What is found under a key whose row stayed the same while its object was looked at."""
    found = look.found
    if row is None and found is None:
        # Deleted since it was listed.
        return Finding(Kind.CHANGING, key)
    if _is_preview(key):
        return _preview(key, found, _with_rows({original_key(key)}))
    finding = compare(key, row, found, look.sha256)
    if finding.kind == Kind.LOST:
        # In a folder that was unmounted meanwhile nothing is there.
        installation.check(storage)
    if finding.kind == Kind.UNKNOWN and row is None and _is_being_fetched(key):
        return replace(finding, kind=Kind.CHANGING)
    if look.sha256 and found is not None:
        return _with_metadata(finding, found, look.sha256)
    return finding


def _is_being_fetched(key: str) -> bool:
    """Whether a worker may be putting this file under another key than its row says."""
    row = file_of(key)
    return row is not None and row.state in Media.WAITING


def file_of(key: str) -> Row | None:
    """The row of the file that a key names, whatever its own key is."""
    parsed = parse_key(key)
    if parsed is None:
        return None
    first, last = (UUID(parsed.hex + digit * 20) for digit in "0f")
    return row_now(owner=parsed.owner, id__gte=first, id__lte=last)


def _with_metadata(finding: Finding, found: StoredObject, sha256: str) -> Finding:
    """The finding of an object that was read, compared with its metadata, too."""
    try:
        described = row_of(found, keys=settings.MEDIA_METADATA_KEYS)
    except RecordError:
        return replace(finding, reason=finding.reason or NO_METADATA)
    except ContradictionError as error:
        differs = {**finding.differs, "metadata": ("", str(error))}
        if finding.kind == Kind.SAME:
            return replace(finding, kind=Kind.DIFFERS, differs=differs)
        return finding
    if finding.kind == Kind.UNKNOWN and described.sha256 != sha256:
        differs = {"sha256": (described.sha256, sha256)}
        return replace(finding, reason="not the bytes of its metadata", differs=differs)
    media = Media.objects.filter(key=finding.key).first()
    if finding.kind == Kind.SAME and media is not None:
        facts = differing_facts(media, described)
        if facts:
            return replace(finding, kind=Kind.DIFFERS, differs=facts)
    return finding
