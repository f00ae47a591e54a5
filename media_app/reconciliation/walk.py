"""Rows and objects side by side: two lists in the order of their keys, walked once, in constant
memory.

The order is that of the keys' bytes, in which buckets and folders list. A list that is not in order
is an error: its pairs would be findings where nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models.functions import Collate

from media_app.identity import ERASURES, PREVIEWS, owner_prefix
from media_app.models import Media
from media_app.storage import Storage, StorageError, StoredObject

# Rows in one query.
PAGE = 1000
# A database sorts texts as a language does, unless it is told otherwise.
_BY_BYTES = {"postgresql": "C", "sqlite": "BINARY"}


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


Each = TypeVar("Each", bound=_Keyed)


@dataclass(frozen=True, slots=True)
class Row:
    """What of a file's row is compared."""

    key: str
    id: UUID
    state: str
    size: int | None
    sha256: str
    stored_at: datetime | None
    purged_at: datetime | None


# In the order of the fields.
_COLUMNS = ("key", "id", "state", "size", "sha256", "stored_at", "purged_at")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is there under one key: a row, an object, or both."""

    key: str
    row: Row | None
    found: StoredObject | None


def pairs(storage: Storage, owner: str | None = None) -> Iterator[Pair]:
    """All rows and objects, or those of one owner, by their keys.

    Previews come as objects without rows. Raises StorageError.
    """
    if owner is None:
        objects = (
            each for each in storage.list("") if not each.key.startswith(ERASURES)
        )
        return merged(rows(), objects)
    prefix = owner_prefix(owner)
    # Each list is in order, so the two have to be.
    prefixes = sorted((prefix, PREVIEWS + prefix))
    listed = chain.from_iterable(storage.list(each) for each in prefixes)
    return merged(rows(prefix), listed)


def rows(prefix: str = "") -> Iterator[Row]:
    """All rows by key, or those below a prefix that ends in ``/``.

    One short query for each page: a run may take hours.
    """
    in_order = Collate("key", _BY_BYTES[connection.vendor])
    files = Media.objects.annotate(sorted_by=in_order).order_by("sorted_by")
    if prefix:
        # The first text behind all that begin with the prefix.
        behind = prefix[:-1] + chr(ord("/") + 1)
        files = files.filter(sorted_by__gte=prefix, sorted_by__lt=behind)
    values = files.values_list(*_COLUMNS)
    last = ""
    while page := list(values.filter(sorted_by__gt=last)[:PAGE]):
        yield from (Row(*columns) for columns in page)
        last = page[-1][0]


def row_now(**which: Any) -> Row | None:
    """The row of the file that these fields name, as it is now."""
    columns = Media.objects.filter(**which).values_list(*_COLUMNS).first()
    return Row(*columns) if columns else None


def merged(rows: Iterable[Row], objects: Iterable[StoredObject]) -> Iterator[Pair]:
    """Both lists as pairs. Raises StorageError where one is not in order."""
    each_row, each_object = _in_order(rows), _in_order(objects)
    row, found = next(each_row, None), next(each_object, None)
    while row is not None or found is not None:
        key = min(each.key for each in (row, found) if each is not None)
        pair = Pair(key, _under(key, row), _under(key, found))
        yield pair
        if pair.row is not None:
            row = next(each_row, None)
        if pair.found is not None:
            found = next(each_object, None)


def _under(key: str, each: Each | None) -> Each | None:
    return each if each is not None and each.key == key else None


def _in_order(listed: Iterable[Each]) -> Iterator[Each]:
    last = ""
    for each in listed:
        # Texts compare as their bytes in UTF-8 do.
        if each.key <= last:
            raise StorageError("a list of files is not in the order of their keys")
        yield each
        last = each.key
