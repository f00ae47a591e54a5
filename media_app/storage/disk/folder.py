"""The storage contract over a folder.

What a file cannot carry (content type, metadata) is in a hidden file beside it, its sidecar. The
lock on a folder keeps each object and its sidecar together: writers hold it alone, readers share
it. Hidden files are no objects.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from media_app.failpoints import failpoint
from media_app.storage.base import (
    CHUNK,
    MARKER,
    MAX_MARKER,
    DeleteError,
    Leftovers,
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
from media_app.storage.disk import sidecars
from media_app.storage.disk.files import (
    ABSENT,
    create,
    disk_errors,
    explain,
    locked,
    make_folder,
    modified,
    open_in,
    reserve,
    sorted_entries,
    sync,
    time_in,
)
from media_app.storage.disk.leftovers import HiddenFiles
from media_app.storage.disk.reads import DiskObject


class DiskStorage(Storage):
    """A folder on a local disk, whose file system must know locks (flock)."""

    may_be_replaced = True

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        with disk_errors():
            self.root.parent.mkdir(parents=True, exist_ok=True)
            make_folder(self.root)

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
        facts = sidecars.encode(content_type, metadata)
        with (
            disk_errors(),
            self._written(path.parent, body, size) as file,
            self._written(path.parent, BytesIO(facts), len(facts)) as its_sidecar,
        ):
            with locked(path.parent, fcntl.LOCK_EX):
                if replace:
                    # The new sidecar must never describe the old bytes, not even after a crash.
                    path.unlink(missing_ok=True)
                elif path.is_file():
                    raise ObjectExistsError(key)
                # The sidecar first: an object that can be seen has its metadata.
                its_sidecar.replace(path.with_name(sidecars.sidecar(path.name)))
                failpoint("storage_mid_put")
                file.replace(path)
            for folder in self._down_from(path.parent):
                sync(folder)
            sync(self.root)

    def open_range(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> DiskObject | None:
        check_key(key)
        check_range(start, stop)
        path = self.root / key
        with disk_errors():
            try:
                # Under the lock, because a replacement takes the file away for a moment.
                with locked(path.parent, fcntl.LOCK_SH) as folder:
                    file = open_in(folder, path.name)
            except ABSENT:
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
        with disk_errors():
            try:
                with (
                    locked(path.parent, fcntl.LOCK_SH) as folder,
                    open_in(folder, path.name) as file,
                ):
                    status = os.fstat(file.fileno())
                    content_type, metadata = sidecars.read(path.name, folder)
            except ABSENT:
                self._check_root()
                return None
        return StoredObject(
            key=key,
            size=status.st_size,
            modified=modified(status),
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
        paths = (self.root / key for key in wanted)
        remaining: dict[str, str] = {}
        with disk_errors():
            for folder, files in groupby(paths, key=lambda path: path.parent):
                remaining |= self._delete_from(folder, [file.name for file in files])
        if remaining:
            reason = next(iter(remaining.values()))
            text = f"{len(remaining)} objects remain: {reason}"
            raise DeleteError(text, tuple(remaining))

    def probe(self, size: int) -> None:
        with disk_errors():
            self._check_root()
            reserve(self.root, size)

    @property
    def leftovers(self) -> Leftovers:
        return HiddenFiles(self.root)

    def clock(self) -> datetime:
        with disk_errors():
            self._check_root()
            return time_in(self.root)

    def marker(self) -> str | None:
        with disk_errors():
            try:
                with (self.root / MARKER).open("rb") as file:
                    return file.read(MAX_MARKER).decode("utf-8", "replace").strip()
            except FileNotFoundError:
                self._check_root()
                return None

    def write_marker(self, text: str, *, replace: bool = False) -> None:
        content = f"{text}\n".encode()
        path = self.root / MARKER
        with (
            disk_errors(),
            self._written(self.root, BytesIO(content), len(content)) as file,
        ):
            if replace:
                file.replace(path)
            else:
                try:
                    path.hardlink_to(file)
                except FileExistsError as error:
                    raise ObjectExistsError(MARKER) from error
            sync(self.root)

    def _delete_from(self, folder: Path, names: Sequence[str]) -> dict[str, str]:
        """Delete the objects of one folder; the keys of those that remain, each with the reason."""
        remaining = {}
        try:
            with locked(folder, fcntl.LOCK_EX) as descriptor:
                for name in names:
                    try:
                        sidecars.delete_both(name, descriptor)
                    except OSError as error:
                        remaining[self._key(folder, name)] = explain(error)
                sidecars.clear_away(descriptor)
                os.fsync(descriptor)
        except ABSENT:
            self._check_root()
        except OSError as error:
            # A folder that can't be opened does not stop the deletion in others.
            return {self._key(folder, name): explain(error) for name in names}
        # The name of an empty folder still tells whose files were in it.
        for emptied in self._down_from(folder):
            try:
                emptied.rmdir()
            except OSError:
                break
        return remaining

    def _key(self, folder: Path, name: str) -> str:
        return (folder / name).relative_to(self.root).as_posix()

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        with disk_errors():
            try:
                entries = sorted_entries(self.root / prefix)
            except ABSENT:
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
                        modified=modified(status),
                    )

    @contextmanager
    def _written(self, folder: Path, body: BinaryIO, size: int) -> Iterator[Path]:
        """A hidden file in ``folder`` with all of ``body``, synced to the disk; removed afterwards
        unless it was moved.
        """
        path = folder / sidecars.new_part()
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
                    make_folder(folder)
                return create(path)
            except FileNotFoundError:
                # A delete has just taken the empty folder away.
                continue

    def _check_root(self) -> None:
        """A folder that is gone must not pass for an empty one: its disk may be unmounted."""
        if not self.root.is_dir():
            raise StorageError("the media folder is missing")

    def _down_from(self, folder: Path) -> Iterator[Path]:
        """The folder and those above it, without the root."""
        while folder != self.root:
            yield folder
            folder = folder.parent
