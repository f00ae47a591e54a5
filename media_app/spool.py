"""A file on its way: kept aside until it is known to be whole and right."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import BinaryIO, Self, cast

from media_app.failpoints import reached
from media_app.filetypes import HEAD
from media_app.sources.errors import TooLargeError
from media_app.storage.base import StorageError

# Photos stay in memory; what is larger goes to disk.
IN_MEMORY = 2 * 1024 * 1024


class Spool:
    """A temporary file that measures and hashes what is written to it. Close it: it may lie on the disk."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self.size = 0
        self.file = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115

    def fill(self, chunks: Iterable[bytes]) -> None:
        """Take in a body.

        Raises TooLargeError as soon as it passes the cap, StorageError where there is no
        room for it here, and what ``chunks`` raises.
        """
        for chunk in chunks:
            reached("ingest_mid_download")
            self.size += len(chunk)
            if self.size > self._max_bytes:
                raise too_large(self._max_bytes)
            self._digest.update(chunk)
            with _disk_errors():
                self.file.write(chunk)
        with _disk_errors():
            self.file.flush()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def head(self) -> bytes:
        """The first bytes, to tell the type by."""
        self.file.seek(0)
        return self.file.read(HEAD)

    def body(self, check: Callable[[], None]) -> BinaryIO:
        """The file, to be read by a storage; ``check`` is called before each read and ends it by raising."""
        return cast(BinaryIO, _Body(self.file, check))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing writes once more what a full disk did not take, in vain.
        with suppress(OSError):
            self.file.close()


class _Body(io.BufferedIOBase):
    """A file that others read; closing this leaves the file open."""

    def __init__(self, file: BinaryIO, check: Callable[[], None]) -> None:
        self._file = file
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"The disk for files on their way: {error.strerror or error}") from error


def too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(f"The file is larger than the {max_bytes:,} bytes that MEDIA_MAX_BYTES allows.")
