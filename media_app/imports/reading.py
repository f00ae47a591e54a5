"""A source of files by its format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from media_app.imports import folder as folders
from media_app.imports import lines
from media_app.imports.addresses import addresses
from media_app.imports.csv_lines import csv_lines
from media_app.imports.items import Assumed, BrokenLine, Item, UnreadableError
from media_app.imports.json_lines import json_lines
from media_app.imports.patterns import Pattern
from media_app.storage import DiskStorage, Storage

FOLDER = "folder"
_OF_LINES = {"jsonl": json_lines, "csv": csv_lines, "urls": addresses}
FORMATS = (*_OF_LINES, FOLDER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a source has."""

    items: Iterator[Item | BrokenLine]
    #: About how many.
    number: int


def read(
    path: Path,
    format: str,
    *,
    owner: str,
    names: Mapping[str, str],
    pattern: str,
    storage: Storage,
) -> Found:
    """The files of a source, which are read while they are taken. Taking them raises
    UnreadableError, too. ``storage`` is ours: it is not imported into itself.

    Raises UnreadableError, OwnFilesError.
    """
    try:
        changed = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from error
    assumed = Assumed(
        owner=owner,
        occurred_at=changed,
        max_bytes=settings.MEDIA_MAX_BYTES,
        names=names,
    )
    if path.is_dir() != (format == FOLDER):
        raise UnreadableError(f"{path} is not what --format {format} reads.")
    if pattern and format != FOLDER:
        raise UnreadableError("--pattern is for a folder.")
    if format != FOLDER:
        return Found(items=_OF_LINES[format](path, assumed), number=lines.count(path))
    storage_root = storage.root if isinstance(storage, DiskStorage) else None
    folders.refuse_own(path, storage_root)
    items = folders.folder(path, assumed, Pattern(pattern) if pattern else None)
    return Found(items=items, number=folders.count(path))
