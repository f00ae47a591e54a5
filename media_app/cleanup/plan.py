"""The plan of a cleanup: a file of JSON Lines that only its owner may read.

The first line says whose plan it is and what there was to choose from, each other line is one thing
to delete. The run that wrote it has recorded its digest: an edited plan is none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO
from uuid import uuid4

VERSION = 1


class PlanError(Exception):
    """The file is no plan, or a damaged one."""


class Kind(StrEnum):
    #: A stored file whose retention period is over.
    RETENTION = "retention"
    #: An object with a key of ours, and without a file.
    ORPHAN = "orphan"
    #: One that becomes a file again, by its metadata.
    ADOPTION = "adoption"
    #: The object of a file that is deleted and purged already.
    PURGED = "purged"
    #: A preview without its original.
    PREVIEW = "preview"
    #: What a killed writer left.
    LEFTOVER = "leftover"


#: What the limits count. An adoption deletes nothing, and a leftover is nobody's file.
FILES = frozenset({Kind.RETENTION, Kind.ORPHAN, Kind.PURGED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing to delete, as it was when the plan was made."""

    kind: Kind
    key: str
    #: The file's; of an upload its own.
    id: str = ""
    size: int = 0
    #: Seconds: when the object was put, or when the row was stored.
    modified: int = 0
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The first line."""

    installation: str
    #: By the database's clock.
    at: str
    #: Files that are stored, objects of files, previews.
    stored: int
    objects: int
    previews: int
    plan: int = VERSION

    @property
    def made_at(self) -> datetime:
        return datetime.fromisoformat(self.at)


class Draft:
    """Entries on their way into a plan: its header is known last."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115
        self.number = 0

    def add(self, entry: Entry) -> None:
        self._file.write(_line(asdict(entry)))
        self.number += 1

    def save(self, path: Path, header: Header) -> str:
        """Write the plan, whole or not at all; its digest. Raises OSError, FileExistsError."""
        part = path.with_name(f".{path.name}.{uuid4().hex}")
        digest = hashlib.sha256()
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                self._file.seek(0)
                for line in (_line(asdict(header)), *self._file):
                    digest.update(line)
                    file.write(line)
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(part)
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest()

    def close(self) -> None:
        self._file.close()


class Plan:
    """A plan that is read. Its file stays open: what was checked is what is applied."""

    def __init__(self, path: Path) -> None:
        """Raises PlanError, OSError."""
        self._file: BinaryIO = path.open("rb")
        digest = hashlib.sha256()
        try:
            first = self._file.readline()
            digest.update(first)
            self.header = _read(Header, first)
            #: By kind, as numbers of entries.
            self.counts: Counter[Kind] = Counter()
            for line in self._file:
                digest.update(line)
                self.counts[_read(Entry, line).kind] += 1
        except PlanError:
            self._file.close()
            raise
        self.digest = digest.hexdigest()

    def entries(self) -> Iterator[Entry]:
        self._file.seek(0)
        self._file.readline()
        for line in self._file:
            yield _read(Entry, line)

    def close(self) -> None:
        self._file.close()


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _read(kind: Any, line: bytes) -> Any:
    try:
        read = kind(**json.loads(line))
        if kind is Entry:
            return Entry(**{**asdict(read), "kind": Kind(read.kind)})
        if read.plan != VERSION:
            raise ValueError(read.plan)
        datetime.fromisoformat(read.at)
    except (ValueError, TypeError) as error:
        raise PlanError("The file is not a plan, or is damaged.") from error
    return read
