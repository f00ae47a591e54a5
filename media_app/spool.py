"""A file that is being fetched, in a temporary file until it is verified."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import BinaryIO, Self, cast

from media_app.failpoints import failpoint
from media_app.filetypes import HEAD
from media_app.sources.errors import TooLargeError
from media_app.storage.base import CHUNK, StorageError

# Photos stay in memory; what is larger goes to disk.
IN_MEMORY = 2 * 1024 * 1024
# Without its last bytes nobody mistakes an unverified file for a whole one.
HELD_BACK = 64 * 1024
POLL_SECONDS = 0.02


class Spool:
    """A temporary file that measures and hashes what is written to it. Close it: it may lie on the
    disk.

    Others may read it by ``open`` and ``follow`` while it fills, and after.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self.size = 0
        #: The size that its source states, once that is known.
        self.expected: int | None = None
        #: Whether its bytes are verified.
        self.is_verified = False
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self.file = cast(BinaryIO, file)

    def fill(self, chunks: Iterable[bytes], *, expected: int | None = None) -> None:
        """Write a body to it, of ``expected`` bytes where its source says so.

        Raises TooLargeError as soon as it passes the cap, StorageError where there is no
        room for it here, and what ``chunks`` raises.
        """
        if expected is not None and expected > IN_MEMORY:
            with _disk_errors():
                self.file.rollover()  # type: ignore[attr-defined]
        self.expected = expected
        for chunk in chunks:
            failpoint("ingest_mid_download")
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

    def part(self, start: int, stop: int) -> SpooledPart:
        """Some of the bytes, for one reader of many. Only once it is full."""
        return SpooledPart(
            os.dup(self.file.fileno()), start=start, stop=stop, total=self.size
        )

    def body(self, check: Callable[[], None]) -> BinaryIO:
        """The file, to be read by a storage; ``check`` is called before each read and ends it by
        raising.
        """
        return cast(BinaryIO, _Body(self.file, check))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        # Closing tries once more to write what a full disk refused.
        with suppress(OSError):
            self.file.close()


class SpooledPart:
    """A part of a spool, being read; it outlives the spool."""

    file = None

    def __init__(self, descriptor: int, *, start: int, stop: int, total: int) -> None:
        self.start = start
        self.stop = stop
        self.total = total
        self._descriptor = descriptor

    def chunks(self) -> Iterator[bytes]:
        position = self.start
        while position < self.stop:
            with _disk_errors():
                # All readers share the position of the file: each counts for itself.
                chunk = os.pread(
                    self._descriptor, min(CHUNK, self.stop - position), position
                )
            if not chunk:
                raise StorageError("the file on its way ended early")
            position += len(chunk)
            yield chunk

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


class ArrivingFile:
    """A spool that is still filling, read from its start behind whoever fills it; it outlives the
    spool.
    """

    def __init__(self, spool: Spool, is_over: Callable[[], bool]) -> None:
        """``is_over`` tells whether the spool will change no more. ``spool.expected`` must be
        known.
        """
        self._spool = spool
        self._is_over = is_over
        self._descriptor = os.dup(spool.file.fileno())

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they come; the last ones only when all are verified. Raises StorageError."""
        position = 0
        while True:
            is_over, is_verified = self._is_over(), self._spool.is_verified
            ready = self._spool.size
            if not is_verified:
                ready -= HELD_BACK
            with _disk_errors():
                chunk = os.pread(
                    self._descriptor, max(min(CHUNK, ready - position), 0), position
                )
            position += len(chunk)
            if chunk:
                yield chunk
            elif is_verified and position == self._spool.size:
                return
            elif is_over:
                raise StorageError("the file turned out not to be right")
            else:
                time.sleep(POLL_SECONDS)

    def head(self) -> bytes:
        """The first bytes, to tell the type by; as many as have come."""
        return os.pread(self._descriptor, HEAD, 0)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


class _Body(io.BufferedIOBase):
    """A file with other readers; closing this leaves the file open."""

    def __init__(self, file: BinaryIO, check: Callable[[], None]) -> None:
        self._file = file
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        if size is None:
            size = -1
        return self._file.read(size)

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
        raise StorageError(
            f"The disk for files on their way: {error.strerror or error}"
        ) from error


def check_room(size: int) -> None:
    """Raise StorageError where a spool has no room for so many bytes now."""
    if size > IN_MEMORY:
        with _disk_errors(), tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, size)


def too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"The file is larger than the {max_bytes:,} bytes that MEDIA_MAX_BYTES allows."
    )
