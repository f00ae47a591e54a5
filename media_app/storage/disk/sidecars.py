"""The hidden files beside objects: sidecars, which hold what a file cannot carry (content type,
metadata), and parts, which are still being written.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from uuid import uuid4

from media_app.storage.base import StorageError
from media_app.storage.disk.files import ABSENT, open_in

_SIDECAR_ENDING = ".meta"
_PART_ENDING = ".part"


def sidecar(name: str) -> str:
    """The name of an object's sidecar."""
    return f".{name}{_SIDECAR_ENDING}"


def new_part() -> str:
    """A name for a file that is still being written."""
    return f".{uuid4().hex}{_PART_ENDING}"


def encode(content_type: str, metadata: Mapping[str, str]) -> bytes:
    facts = {"content_type": content_type, "metadata": dict(metadata)}
    return json.dumps(facts).encode()


def read(name: str, folder: int) -> tuple[str, dict[str, str]]:
    """Content type and metadata of the object ``name``; nothing for a file that was put here by
    other means.

    Raises StorageError when the sidecar is damaged.
    """
    try:
        with open_in(folder, sidecar(name)) as file:
            facts = json.loads(file.read())
        return facts["content_type"], facts["metadata"]
    except ABSENT:
        return "", {}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError("the metadata of an object cannot be read") from error


def delete_both(name: str, folder: int) -> None:
    """Delete an object and its sidecar."""
    for file in (name, sidecar(name)):
        with suppress(*ABSENT):
            os.unlink(file, dir_fd=folder)


def leftovers(names: Iterable[str]) -> Iterator[str]:
    """Among the names of a folder: parts, and sidecars of objects that are not there."""
    there = set(names)
    for name in there:
        if not name.startswith("."):
            continue
        is_part = name.endswith(_PART_ENDING)
        is_sidecar = name.endswith(_SIDECAR_ENDING)
        if is_part or (is_sidecar and _described(name) not in there):
            yield name


def clear_away(folder: int, only: str = "") -> None:
    """Remove what killed writers left in a folder that is locked: it would outlive the files it
    belongs to. All of it, or the one with the name ``only``.
    """
    for name in leftovers(os.listdir(folder)):
        if only and name != only:
            continue
        if name.endswith(_PART_ENDING):
            _remove_unlocked(name, folder)
        else:
            with suppress(*ABSENT):
                os.unlink(name, dir_fd=folder)


def _described(sidecar: str) -> str:
    return sidecar[1 : -len(_SIDECAR_ENDING)]


def _remove_unlocked(name: str, folder: int) -> None:
    """Remove a part, unless its writer lives and holds its lock."""
    with suppress(*ABSENT, BlockingIOError), open_in(folder, name) as part:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
