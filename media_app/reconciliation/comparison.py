"""What it means that a row and an object are there, or are not: pure rules.

| row                    | with an object        | without an object    |
|------------------------|-----------------------|----------------------|
| stored                 | ``=``, or ``*``       | ``-``                |
| missing                | ``*``: it is there    | ``-``                |
| waiting, being fetched | right                 | right                |
| expired, rejected      | ``*``: it is there    | right                |
| deleted, to be purged  | right                 | right                |
| deleted and purged     | ``+``                 | right                |
| none                   | ``+``                 |                      |

Between the row and the bytes the row wins: its digest was verified when the file was stored, so
other bytes are wrong. Between the row and the object's metadata the row wins, too: the metadata
is a copy of it. Only where there is no row the metadata is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from media_app.identity import parse_key
from media_app.models import Media
from media_app.reconciliation.walk import Row
from media_app.storage import StoredObject


class Kind(StrEnum):
    """What was found under a key; the value is its name among a run's numbers."""

    SAME = "same"
    LOST = "rows_without_object"
    UNKNOWN = "objects_without_row"
    DIFFERS = "differing"
    ERROR = "errors"
    #: Rows of files that are not stored, or no longer: with or without an object all is well.
    NOT_STORED = "rows_not_stored"
    PREVIEW = "previews"
    #: Rows or objects that changed each time they were looked at.
    CHANGING = "changing"


SIGNS = {
    Kind.SAME: "=",
    Kind.LOST: "-",
    Kind.UNKNOWN: "+",
    Kind.DIFFERS: "*",
    Kind.ERROR: "!",
}
#: Kinds that need no second look.
RIGHT = frozenset({Kind.SAME, Kind.NOT_STORED, Kind.PREVIEW})

#: What row and object say of one thing.
Differences = Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found under one key."""

    kind: Kind
    key: str
    row: Row | None = None
    found: StoredObject | None = None
    #: Why, where the kind does not say it all.
    reason: str = ""
    #: By the names of fields: the row's value, the object's value.
    differs: Differences = field(default_factory=dict)

    @property
    def sign(self) -> str:
        """``=``, ``-``, ``+``, ``*`` or ``!``; "" for what is not reported line by line."""
        return SIGNS.get(self.kind, "")

    @property
    def has_wrong_bytes(self) -> bool:
        """Whether the object of a stored file has to be replaced."""
        is_stored = self.row is not None and self.row.state == Media.State.STORED
        differs_in_bytes = not self.differs.keys().isdisjoint(_OF_BYTES)
        return self.kind == Kind.DIFFERS and is_stored and differs_in_bytes


_OF_BYTES = ("size", "sha256")


def compare(
    key: str, row: Row | None, found: StoredObject | None, sha256: str = ""
) -> Finding:
    """What is found under a key that is no preview's. ``sha256`` is that of the object's bytes
    where they were read.
    """
    if row is None:
        reason = ""
        if parse_key(key) is None:
            reason = "not a key of ours"
        return Finding(Kind.UNKNOWN, key, row, found, reason)
    if found is None:
        return Finding(_without_object(row), key, row, found)
    if row.state == Media.State.STORED:
        differs = _differences(row, found, sha256)
        kind = Kind.DIFFERS if differs else Kind.SAME
        return Finding(kind, key, row, found, differs=differs)
    if row.state in Media.GIVEN_UP:
        return Finding(
            Kind.DIFFERS, key, row, found, differs={"state": (row.state, "there")}
        )
    if row.purged_at is not None:
        return Finding(Kind.UNKNOWN, key, row, found, "its file is deleted")
    return Finding(Kind.NOT_STORED, key, row, found)


def _without_object(row: Row) -> Kind:
    if row.state in (Media.State.STORED, Media.State.MISSING):
        return Kind.LOST
    return Kind.NOT_STORED


def _differences(
    row: Row, found: StoredObject, sha256: str
) -> dict[str, tuple[object, object]]:
    differs: dict[str, tuple[object, object]] = {}
    if found.size != row.size:
        differs["size"] = (row.size, found.size)
    if sha256 and sha256 != row.sha256:
        differs["sha256"] = (row.sha256, sha256)
    return differs


# What the first announcement fixes, and what is stored.
_FACTS = (
    "id",
    "source",
    "account",
    "provider_media_id",
    "provider_message_id",
    "position",
    "owner",
    "occurred_at",
    "time_assumed",
    "sha256",
    "content_type",
    "type_differs",
)


def differing_facts(media: Media, described: Media) -> Differences:
    """Where an object's metadata, as the row ``described``, says other than the file's row.

    Of a long record some texts are left out: they differ from nothing.
    """
    return {
        name: (ours, theirs)
        for name in _FACTS
        if (ours := getattr(media, name)) != (theirs := getattr(described, name))
        and theirs != ""
    }
