"""Files and folders, as a storage needs them: locked, synced, with errors of their own."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from media_app.storage.base import StorageError

# Whatever the umask of a process: its owner, and to read for the group, which is that of a proxy
# that sends files.
FILE_MODE = 0o640
FOLDER_MODE = 0o750
# A folder on the way that is missing or is a file, or a folder where the file should be.
ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@contextmanager
def disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"the disk: {explain(error)}") from error


def explain(error: OSError) -> str:
    return error.strerror or type(error).__name__


def make_folder(folder: Path) -> None:
    """Unless it is there. Raises FileNotFoundError where the one above it has gone."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    # A folder may pass its group on (setgid), as that of nginx.
    inherited = stat.S_IMODE(folder.stat().st_mode) & stat.S_ISGID
    folder.chmod(FOLDER_MODE | inherited)


def create(path: Path) -> BinaryIO:
    """A new file. Raises FileNotFoundError where its folder has gone."""
    file = path.open("xb")
    os.fchmod(file.fileno(), FILE_MODE)
    return file


@contextmanager
def locked(folder: Path, operation: int) -> Iterator[int]:
    """The folder's descriptor while it is locked. It stays the same folder, even if another takes
    its name.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, operation)
        yield descriptor
    finally:
        os.close(descriptor)


def open_in(folder: int, name: str) -> FileIO:
    """A file of an open folder, to be read."""
    return open(name, "rb", buffering=0, opener=partial(os.open, dir_fd=folder))


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sorted_entries(folder: Path) -> list[tuple[str, os.DirEntry[str]]]:
    """The entries by their names, in which a folder ends in "/": a bucket sorts by whole keys."""
    with os.scandir(folder) as scan:
        return sorted(
            (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry)
            for entry in scan
        )


def reserve(folder: Path, size: int) -> None:
    """Take the room for so many bytes, for a moment."""
    # Without a name: a process that is killed here leaves nothing.
    with TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))


def time_in(folder: Path) -> datetime:
    """The time that a new file there gets: on a network, that of the file server."""
    with TemporaryFile(dir=folder) as file:
        return modified(os.fstat(file.fileno()))


def modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
