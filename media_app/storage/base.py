"""The contract of a storage: put, open_range, url, head, list, delete.

An absent object is an answer (None), an outage is an error (StorageError). They are never mixed:
an outage that passed for a missing object would send every viewer to the provider.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from typing import BinaryIO, Protocol

CHUNK = 256 * 1024
# In the root of each storage: the id of its installation. A hidden name is not a key: no listing
# has it, and no file can have it.
MARKER = ".mediahub"
# Where a storage is tried out (``media_app.capabilities``): hidden, too.
SCRATCH = f"{MARKER}-check"
# More than an id has.
MAX_MARKER = 100
# What S3 allows: bytes of a key, bytes of all names and values of an object's metadata.
MAX_KEY = 1024
MAX_METADATA = 2048


class StorageError(Exception):
    """The storage failed; the same call may work later."""


class ObjectExistsError(Exception):
    """A create-only put found an object under its key, or one just being written there."""


class DeleteError(StorageError):
    """Some objects of a delete remain; ``keys`` names them."""

    def __init__(self, message: str, keys: tuple[str, ...]) -> None:
        super().__init__(message)
        self.keys = keys


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """What the storage knows of one object."""

    key: str
    size: int
    #: When it was put, aware.
    modified: datetime
    #: Empty and None in a listing, which does not carry them.
    content_type: str = ""
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """What a writer that was killed has left: a part of an object, or an upload that was never
    completed. No listing of objects has it.
    """

    #: A folder's hidden file, or the key that the upload is for.
    key: str
    #: The upload's; "" for an object or file.
    id: str = ""
    size: int = 0
    #: When it was begun, aware.
    modified: datetime


class Leftovers(Protocol):
    def __iter__(self) -> Iterator[Leftover]:
        """All of them, also those of writers that still live. Raises StorageError.

        A server that lists no uploads has none.
        """

    def remove(self, leftover: Leftover) -> None:
        """Unless it is gone, or its writer is still there. Raises StorageError."""


class OpenedObject(Protocol):
    """A part of an object, being read. Close it: it may hold a connection."""

    #: The first byte and the one after the last, within the whole object.
    start: int
    stop: int
    #: The size of the whole object.
    total: int

    @property
    def file(self) -> FileIO | None:
        """The file, where it is one: open at ``start``, for servers that send files by their
        descriptor.
        """

    def chunks(self) -> Iterator[bytes]:
        """The bytes from ``start`` to ``stop``, no more than CHUNK at a time.

        Raises StorageError when the storage breaks off; never ends short in silence.
        """

    def close(self) -> None: ...


class Storage(ABC):
    """One place that keeps objects by key. Thread-safe."""

    #: Whether another storage may take its place while a process runs: a folder may be unmounted,
    #: a bucket is named by the settings.
    may_be_replaced = False

    @abstractmethod
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
        """Write ``size`` bytes of the seekable ``body`` from its start: whole or not at all.

        ``metadata`` is ASCII with lower-case names, 2 KB at most. Without ``replace``
        an object already there stays as it is: ObjectExistsError (where the server
        supports conditional writes).
        Raises StorageError; ValueError where ``check_put`` does.
        """

    @abstractmethod
    def open_range(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> OpenedObject | None:
        """Open the bytes from ``start`` up to but without ``stop`` (None: to the end); None if
        absent.

        ``stop`` past the end is cut to it. Reads no more from the storage than asked.
        ``stop`` at ``start`` opens no bytes.
        Raises ValueError when ``start`` is not within the object (an empty object opens
        at 0), StorageError.
        """

    @abstractmethod
    def url(
        self, key: str, seconds: int, *, content_type: str = "", disposition: str = ""
    ) -> str | None:
        """A link to the object itself that needs no login and lasts ``seconds``; None where there
        is no such thing.

        A disk has none. A bucket's lasts a week at most (S3's limit). ``content_type`` and
        ``disposition`` are the headers that the bucket sends with it ("": those it was put with).
        Does not check whether the object is there. Raises StorageError.
        """

    @abstractmethod
    def head(self, key: str) -> StoredObject | None:
        """The object's facts with its metadata; None if absent. Raises StorageError."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a folder, every page, by key. Raises StorageError.

        ``prefix`` must end in ``/`` (ValueError otherwise): without it one sender's
        number matches all numbers that begin like it. "" lists everything.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove the objects; an absent one counts as removed. Raises DeleteError, StorageError."""

    @abstractmethod
    def probe(self, size: int) -> None:
        """Try whether an object of so many bytes could be put now, without sending it. Raises
        StorageError.

        A folder reserves the room for a moment; into a bucket a few bytes are put, and removed.
        """

    @property
    @abstractmethod
    def leftovers(self) -> Leftovers:
        """What killed writers have left here."""

    @abstractmethod
    def clock(self) -> datetime:
        """The time, aware, by the clock that dates objects. Raises StorageError."""

    @abstractmethod
    def marker(self) -> str | None:
        """The text of the marker; None where there is none. Raises StorageError."""

    @abstractmethod
    def write_marker(self, text: str, *, replace: bool = False) -> None:
        """Write the marker. Raises StorageError; ObjectExistsError where there is one and not
        ``replace``.
        """


def is_key(key: str) -> bool:
    """Whether every storage can have an object under this key, and none would look for it outside
    of itself.
    """
    return (
        key.isprintable()
        and len(key.encode()) <= MAX_KEY
        and "\\" not in key
        and all(segment and not segment.startswith(".") for segment in key.split("/"))
    )


def check_key(key: str) -> None:
    if not is_key(key):
        raise ValueError(f"not a key: {key!r}")


def check_prefix(prefix: str) -> None:
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"a prefix must end in '/': {prefix!r}")


def check_range(start: int, stop: int | None) -> None:
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"not a range: {start} to {stop}")


def check_put(
    key: str,
    body: BinaryIO,
    *,
    size: int,
    content_type: str,
    metadata: Mapping[str, str],
) -> None:
    """Raise ValueError for what some storage would refuse or change; leave ``body`` at its start.

    The strictest storage decides for all, so that what works on a disk works in a bucket:
    metadata travels in HTTP headers there.
    """
    check_key(key)
    for text in (content_type, *metadata, *metadata.values()):
        if not (text.isascii() and text.isprintable() and text == text.strip()):
            raise ValueError(f"not fit for a header: {text!r}")
    if any(name != name.lower() for name in metadata):
        raise ValueError("metadata names are lower-case")
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA:
        raise ValueError(f"metadata is over {MAX_METADATA} bytes")
    if body.seek(0, os.SEEK_END) != size:
        raise ValueError(f"the body is {body.tell()} bytes, not {size}")
    body.seek(0)
