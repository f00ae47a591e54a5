"""What the readers yield."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO


class UnreadableError(Exception):
    """Nothing can be read from this source. The text says why and what to do."""


class BrokenError(ValueError):
    """One line, or one file, can't be read. The text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One file to import: its ``body``, to be closed by whoever takes it, or else its ``url``."""

    #: The line in the source, or how many files of the folder came before it; from 1 on.
    number: int
    #: Where it is in the folder, or "".
    path: str = ""
    body: BinaryIO | None = None
    url: str = ""
    owner: str
    occurred_at: datetime
    time_assumed: bool
    #: See ``media_app.files.Description``.
    own_id: str | None = None
    filename: str = ""
    content_type: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    def close(self) -> None:
        if self.body is not None:
            self.body.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenLine:
    """What can't be imported, and why."""

    number: int
    path: str = ""
    reason: str

    def __str__(self) -> str:
        return f"broken {place(self.number, self.path)}: {self.reason}"


def place(number: int, path: str) -> str:
    """Where something is in its source, for people."""
    return path or f"line {number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumed:
    """What holds for the files of a source that say nothing else."""

    #: Their owner, as keys have it; "": each file has to name its own.
    owner: str
    #: When the source was last changed: the same in each run.
    occurred_at: datetime
    #: The largest file that may be imported.
    max_bytes: int
    #: For a use of a field (``data``, ``owner``, …) its name in the source; "": there is none.
    names: Mapping[str, str] = field(default_factory=dict)
