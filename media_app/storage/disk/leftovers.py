"""Hidden files that belong to nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from media_app.storage.base import Leftover, StorageError
from media_app.storage.disk import sidecars
from media_app.storage.disk.files import ABSENT, disk_errors, locked, modified


class HiddenFiles:
    """The parts in a folder and below it, and sidecars without an object."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __iter__(self) -> Iterator[Leftover]:
        if not self._root.is_dir():
            raise StorageError("the media folder is missing")
        with disk_errors():
            for folder, _, names in os.walk(self._root):
                for name in sidecars.leftovers(names):
                    path = Path(folder) / name
                    with suppress(FileNotFoundError):
                        status = path.stat()
                        yield Leftover(
                            key=path.relative_to(self._root).as_posix(),
                            size=status.st_size,
                            modified=modified(status),
                        )

    def remove(self, leftover: Leftover) -> None:
        path = self._root / leftover.key
        with (
            disk_errors(),
            suppress(*ABSENT),
            locked(path.parent, fcntl.LOCK_EX) as folder,
        ):
            sidecars.clear_away(folder, only=path.name)
