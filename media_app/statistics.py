"""How many files there are and how many bytes they have, by what they have in common.

The database adds up; no more than one group at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, TruncMonth

from media_app.identity import PREVIEWS
from media_app.models import Media, MediaQuerySet
from media_app.storage import Storage

# Beginnings of content types. All other files are documents.
_KINDS = ("image", "video", "audio")


@dataclass(frozen=True, slots=True)
class Total:
    """Of the files of one group."""

    name: str
    files: int
    bytes: int


def stored() -> MediaQuerySet:
    return Media.objects.filter(state=Media.State.STORED)


def by_state() -> Iterator[Total]:
    """All files. Those that are deleted count their bytes until their objects are purged; those
    that the storage does not have count none.
    """
    is_kept = Q(state=Media.State.STORED) | Q(state=Media.State.DELETED, purged_at=None)
    groups = Media.objects.values(name=F("state")).annotate(
        files=Count("id"), bytes=_sum(filter=is_kept)
    )
    return _totals(groups.order_by("state"))


def by_kind() -> Iterator[Total]:
    """Stored files by what a viewer does with them."""
    kind = Case(
        *(
            When(content_type__startswith=f"{kind}/", then=Value(kind))
            for kind in _KINDS
        ),
        default=Value("document"),
    )
    groups = stored().annotate(name=kind).values("name")
    return _totals(_counted(groups).order_by("name"))


def by_month() -> Iterator[Total]:
    """Stored files by the month in which they were sent, in the hub's time zone."""
    return _by_month("occurred_at")


def growth() -> Iterator[Total]:
    """Stored files by the month in which they were stored: what each month has added to the
    storage, and is still there.
    """
    return _by_month("stored_at")


def by_sender(number: int) -> Iterator[Total]:
    """The owners whose stored files have the most bytes."""
    groups = _counted(stored().values(name=F("owner")))
    return _totals(groups.order_by("-bytes", "owner")[:number])


def total(files: QuerySet[Any], name: str) -> Total:
    """All of these files as one group."""
    found = files.aggregate(files=Count("id"), bytes=_sum())
    return Total(name, found["files"], found["bytes"])


def listed_previews(storage: Storage) -> Iterator[int]:
    """The size of each preview in the storage. Raises StorageError."""
    for found in storage.list(PREVIEWS):
        yield found.size


def _by_month(field: str) -> Iterator[Total]:
    months = stored().exclude(**{field: None}).annotate(month=TruncMonth(field))
    for group in _counted(months.values("month")).order_by("month").iterator():
        month = f"{group['month']:%Y-%m}"
        yield Total(month, group["files"], group["bytes"])


def _counted(groups: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    counted: QuerySet[Any, Any] = groups.annotate(files=Count("id"), bytes=_sum())
    return counted


def _sum(**conditions: Any) -> Coalesce:
    return Coalesce(Sum("size", **conditions), 0)


def _totals(groups: QuerySet[Any, Any]) -> Iterator[Total]:
    for group in groups.iterator():
        yield Total(group["name"], group["files"], group["bytes"])
