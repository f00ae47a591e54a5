"""All that a cleanup may delete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from media_app.cleanup.guards import Totals
from media_app.cleanup.plan import Entry, Kind
from media_app.cleanup.strays import IsKept, is_ours, strays
from media_app.clock import database_now
from media_app.models import MediaQuerySet
from media_app.storage import Storage
from media_app.timing import STRAY_AGE

# Rows in one query.
PAGE = 1000
RETENTION_REASON = "its retention period is over"


def planned(
    storage: Storage, over: MediaQuerySet, totals: Totals, is_kept: IsKept
) -> Iterator[Entry]:
    """What may be deleted: of the files ``over``, whose retention period is over, and of the
    storage, but for objects whose owner ``is_kept``. Counts what there is into ``totals``. Raises
    StorageError.
    """
    now = database_now()
    yield from _retention(over)
    yield from strays(storage, totals, now, is_kept)
    yield from _leftovers(storage, now)


def _retention(over: MediaQuerySet) -> Iterator[Entry]:
    columns = over.order_by("id").values_list("id", "key", "size", "stored_at")
    last = UUID(int=0)
    while page := list(columns.filter(id__gt=last)[:PAGE]):
        for id, key, size, stored_at in page:
            yield Entry(
                kind=Kind.RETENTION,
                key=key,
                id=str(id),
                size=size or 0,
                modified=stored_second(stored_at),
                reason=RETENTION_REASON,
            )
        last = page[-1][0]


def stored_second(stored_at: datetime | None) -> int:
    """The second in which a file was stored, as entries have it."""
    return int(stored_at.timestamp()) if stored_at else 0


def _leftovers(storage: Storage, now: datetime) -> Iterator[Entry]:
    for each in storage.leftovers:
        # Uploads of other programs for other keys are left alone; hidden files are always ours.
        is_left = now - each.modified >= STRAY_AGE
        if not is_left or (each.id and not is_ours(each.key)):
            continue
        yield Entry(
            kind=Kind.LEFTOVER,
            key=each.key,
            id=each.id,
            size=each.size,
            modified=int(each.modified.timestamp()),
            reason="an upload that was never completed"
            if each.id
            else "a temporary file",
        )
