"""Objects as files below one folder.

What a file cannot carry (content type, metadata) stands in a hidden file beside it, its
sidecar. The lock on a folder keeps each object and its sidecar together: whoever
writes them has it alone, whoever reads them shares it. Hidden files are no objects.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from io import BytesIO, FileIO
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from uuid import uuid4

from media_app.failpoints import reached
from media_app.storage.base import (
    CHUNK,
    MARKER,
    MAX_MARKER,
    DeleteError,
    ObjectExistsError,
    Storage,
    StorageError,
    StoredObject,
    check_key,
    check_prefix,
    check_put,
    check_range,
    is_key,
)

# Whatever the umask of a process: its owner, and to read for the group, which is that of a proxy
# that sends files.
FILE_MODE = 0o640
FOLDER_MODE = 0o750
# A folder on the way that is missing or is a file, or a folder where the file should be.
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


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
            with _disk_errors():
                chunk = self.file.read(min(CHUNK, left))
            if not chunk:
                raise StorageError(f"the file ended {left} bytes early")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self.file.close()


class DiskStorage(Storage):
    """A folder on a local disk, whose file system must know locks (flock)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with _disk_errors():
            root.parent.mkdir(parents=True, exist_ok=True)
            _make_folder(root)

    def put(
        self,
        key: str,
        body: BinaryIO,
        *,
        size: int,
        content_type: str,
        metadata: Mapping[str, str],
        replace: bool = False,
    ) -> None:
        check_put(key, body, size=size, content_type=content_type, metadata=metadata)
        path = self.root / key
        facts = json.dumps(
            {"content_type": content_type, "metadata": dict(metadata)}
        ).encode()
        with (
            _disk_errors(),
            self._written(path.parent, body, size) as file,
            self._written(path.parent, BytesIO(facts), len(facts)) as sidecar,
        ):
            with _locked(path.parent, fcntl.LOCK_EX):
                if replace:
                    # The new sidecar must never describe the old bytes, not even after a crash.
                    path.unlink(missing_ok=True)
                elif path.is_file():
                    raise ObjectExistsError(key)
                # The sidecar first: an object that can be seen has its metadata.
                sidecar.replace(path.with_name(_sidecar(path.name)))
                reached("storage_mid_put")
                file.replace(path)
            for folder in self._down_from(path.parent):
                _sync(folder)
            _sync(self.root)

    def open_range(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> DiskObject | None:
        check_key(key)
        check_range(start, stop)
        path = self.root / key
        with _disk_errors():
            try:
                # Under the lock, because a replacement takes the file away for a moment.
                with _locked(path.parent, fcntl.LOCK_SH) as folder:
                    file = _open(path.name, folder)
            except _ABSENT:
                self._check_root()
                return None
            total = os.fstat(file.fileno()).st_size
            if start and start >= total:
                file.close()
                raise ValueError(f"{start} is not within {total} bytes")
            file.seek(start)
            return DiskObject(
                file,
                start=start,
                stop=total if stop is None else min(stop, total),
                total=total,
            )

    def url(
        self, key: str, seconds: int, *, content_type: str = "", disposition: str = ""
    ) -> None:
        """A file on a disk has no link."""

    def head(self, key: str) -> StoredObject | None:
        check_key(key)
        path = self.root / key
        with _disk_errors():
            try:
                with (
                    _locked(path.parent, fcntl.LOCK_SH) as folder,
                    _open(path.name, folder) as file,
                ):
                    status = os.fstat(file.fileno())
                    content_type, metadata = _read_sidecar(path.name, folder)
            except _ABSENT:
                self._check_root()
                return None
        return StoredObject(
            key=key,
            size=status.st_size,
            modified=_modified(status),
            content_type=content_type,
            metadata=metadata,
        )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        check_prefix(prefix)
        if prefix:
            check_key(prefix.removesuffix("/"))
        return self._walk(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        wanted = [*keys]
        for key in wanted:
            check_key(key)
        remaining: dict[str, str] = {}
        with _disk_errors():
            for folder, files in groupby(
                (self.root / key for key in wanted), key=lambda path: path.parent
            ):
                remaining |= self._delete_from(folder, [file.name for file in files])
        if remaining:
            raise DeleteError(
                f"{len(remaining)} objects remain: {next(iter(remaining.values()))}",
                tuple(remaining),
            )

    def probe(self, size: int) -> None:
        with _disk_errors():
            self._check_root()
            # Without a name: a process that is killed here leaves nothing.
            with TemporaryFile(dir=self.root) as file:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))

    def marker(self) -> str | None:
        with _disk_errors():
            try:
                with (self.root / MARKER).open("rb") as file:
                    return file.read(MAX_MARKER).decode("utf-8", "replace").strip()
            except FileNotFoundError:
                self._check_root()
                return None

    def mark(self, text: str, *, replace: bool = False) -> None:
        content = f"{text}\n".encode()
        path = self.root / MARKER
        with (
            _disk_errors(),
            self._written(self.root, BytesIO(content), len(content)) as file,
        ):
            if replace:
                file.replace(path)
            else:
                try:
                    path.hardlink_to(file)
                except FileExistsError as error:
                    raise ObjectExistsError(MARKER) from error
            _sync(self.root)

    def _delete_from(self, folder: Path, names: Iterable[str]) -> dict[str, str]:
        """Delete the objects of one folder; the keys of those that remain, each with the reason."""
        remaining = {}
        try:
            with _locked(folder, fcntl.LOCK_EX) as descriptor:
                for name in names:
                    try:
                        for file in (name, _sidecar(name)):
                            with suppress(*_ABSENT):
                                os.unlink(file, dir_fd=descriptor)
                    except OSError as error:
                        remaining[(folder / name).relative_to(self.root).as_posix()] = (
                            _reason(error)
                        )
                _clear_away(descriptor)
                os.fsync(descriptor)
        except _ABSENT:
            self._check_root()
        except OSError as error:
            # One folder that does not open keeps no other's files.
            return {
                (folder / name).relative_to(self.root).as_posix(): _reason(error)
                for name in names
            }
        # The name of an empty folder still tells whose files were in it.
        for emptied in self._down_from(folder):
            try:
                emptied.rmdir()
            except OSError:
                break
        return remaining

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        with _disk_errors():
            try:
                with os.scandir(self.root / prefix) as scan:
                    # As a bucket sorts: by the whole key, where a folder's name goes on with "/".
                    entries = sorted(
                        (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry)
                        for entry in scan
                    )
            except _ABSENT:
                self._check_root()
                return
            for name, entry in entries:
                if not is_key(prefix + entry.name):
                    continue
                if name.endswith("/"):
                    yield from self._walk(prefix + name)
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield StoredObject(
                        key=prefix + name,
                        size=status.st_size,
                        modified=_modified(status),
                    )

    @contextmanager
    def _written(self, folder: Path, body: BinaryIO, size: int) -> Iterator[Path]:
        """A hidden file in ``folder`` with all of ``body``, safe on the disk; gone afterwards
        unless it was moved.
        """
        path = folder / f".{uuid4().hex}.part"
        try:
            with self._create(path) as file:
                # Locked until it is moved: a part that nobody holds has lost its writer.
                fcntl.flock(file, fcntl.LOCK_EX)
                shutil.copyfileobj(body, file, CHUNK)
                if file.tell() != size:
                    raise StorageError(f"the body gave {file.tell()} bytes, not {size}")
                file.flush()
                os.fsync(file.fileno())
                yield path
        finally:
            path.unlink(missing_ok=True)

    def _create(self, path: Path) -> BinaryIO:
        while True:
            self._check_root()
            try:
                for folder in reversed([*self._down_from(path.parent)]):
                    _make_folder(folder)
                file = path.open("xb")
                os.fchmod(file.fileno(), FILE_MODE)
                return file
            except FileNotFoundError:
                # A delete has just taken the empty folder away.
                continue

    def _check_root(self) -> None:
        """A folder that is gone, like a disk that is not mounted, must not pass for an empty
        one.
        """
        if not self.root.is_dir():
            raise StorageError("the media folder is missing")

    def _down_from(self, folder: Path) -> Iterator[Path]:
        """The folder and those above it, without the root."""
        while folder != self.root:
            yield folder
            folder = folder.parent


def _make_folder(folder: Path) -> None:
    """Unless it is there. Raises FileNotFoundError where the one above it has gone."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    # A folder may pass its group on (setgid), as that of nginx.
    folder.chmod(FOLDER_MODE | stat.S_IMODE(folder.stat().st_mode) & stat.S_ISGID)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"the disk: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


@contextmanager
def _locked(folder: Path, operation: int) -> Iterator[int]:
    """The folder's descriptor while it is locked. It stays the same folder, even if another takes
    its name.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, operation)
        yield descriptor
    finally:
        os.close(descriptor)


def _clear_away(folder: int) -> None:
    """Remove what killed writers left in a folder that is locked: it would outlive the files it
    belongs to.
    """
    names = set(os.listdir(folder))
    for name in names:
        if name.startswith(".") and name.endswith(".part"):
            with suppress(*_ABSENT, BlockingIOError), _open(name, folder) as part:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
        elif (
            name.startswith(".")
            and name.endswith(".meta")
            and name[1 : -len(".meta")] not in names
        ):
            with suppress(*_ABSENT):
                os.unlink(name, dir_fd=folder)


def _open(name: str, folder: int) -> FileIO:
    return open(name, "rb", buffering=0, opener=partial(os.open, dir_fd=folder))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _sidecar(name: str) -> str:
    return f".{name}.meta"


def _read_sidecar(name: str, folder: int) -> tuple[str, dict[str, str]]:
    """Content type and metadata; nothing for a file that was put here by other means.

    Raises StorageError when the sidecar is damaged.
    """
    try:
        with _open(_sidecar(name), folder) as file:
            facts = json.loads(file.read())
        return facts["content_type"], facts["metadata"]
    except _ABSENT:
        return "", {}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError("the metadata of an object cannot be read") from error
