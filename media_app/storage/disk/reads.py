"""Reading a file of the folder."""

from __future__ import annotations

from collections.abc import Iterator
from io import FileIO

from media_app.storage.base import CHUNK, StorageError
from media_app.storage.disk.files import disk_errors


class DiskObject:
    """A part of a file, being read."""

    def __init__(self, file: FileIO, *, start: int, stop: int, total: int) -> None:
        self.file = file
        self.start = start
        self.stop = stop
        self.total = total

    def chunks(self) -> Iterator[bytes]:
        left = self.stop - self.start
        while left:
            with disk_errors():
                chunk = self.file.read(min(CHUNK, left))
            if not chunk:
                raise StorageError(f"the file ended {left} bytes early")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self.file.close()
