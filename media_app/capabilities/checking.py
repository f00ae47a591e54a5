"""All checks of one storage, in an order in which each may rely on those before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from media_app import installation
from media_app.capabilities import buckets, contract, folders
from media_app.capabilities.answers import Answer, Checked, failed, ok
from media_app.installation import ForeignStorageError
from media_app.reasons import reason
from media_app.storage import (
    DiskStorage,
    RefusedError,
    S3Storage,
    Storage,
    StorageError,
)
from media_app.storage.base import SCRATCH
from media_app.storage.s3.hidden import HiddenObjects

# "403" is what a server answers to a HEAD.
_NOT_ALLOWED = ("AccessDenied", "403")

_Attempts = Mapping[str, Callable[[], Answer]]


def check(storage: Storage) -> Iterator[Checked]:
    """Try everything. What the storage can't do is an answer.

    Raises ForeignStorageError and StorageError, after the answer that says so and before anything
    is put, when the storage is another installation's or its marker can't be read.
    """
    try:
        installation.check(storage)
    except StorageError as error:
        yield _checked("marker", failed(_why(error)))
        raise
    yield _checked("marker", ok("The storage carries this installation's marker."))
    with _scratch(storage) as scratch:
        for capability, attempt in _attempts(storage, scratch).items():
            yield _checked(capability, _tried(attempt))


def _checked(capability: str, answer: Answer) -> Checked:
    return Checked(capability=capability, verdict=answer.verdict, text=answer.text)


def _attempts(storage: Storage, scratch: Storage) -> _Attempts:
    attempts = {**contract.attempts(scratch)}
    if isinstance(storage, S3Storage) and isinstance(scratch, HiddenObjects):
        attempts |= buckets.attempts(scratch)
    if isinstance(storage, DiskStorage):
        attempts |= folders.attempts(storage)
    return attempts


def _tried(attempt: Callable[[], Answer]) -> Answer:
    try:
        return attempt()
    except StorageError as error:
        return failed(_why(error))


def _why(error: StorageError) -> str:
    if isinstance(error, ForeignStorageError):
        return str(error)
    if isinstance(error, RefusedError) and error.code in _NOT_ALLOWED:
        return f"The access key may not do that ({error.code})."
    return reason(error)


@contextmanager
def _scratch(storage: Storage) -> Iterator[Storage]:
    """An empty storage within this one, which no listing has. What a killed run left there is
    removed first.
    """
    if isinstance(storage, S3Storage):
        hidden = HiddenObjects(storage.client, storage.bucket, f"{SCRATCH}/")
        _clear(hidden)
        try:
            yield hidden
        finally:
            _clear(hidden)
        return
    if not isinstance(storage, DiskStorage):
        kind = type(storage).__name__
        raise StorageError(f"check_storage does not know how to try a {kind}")
    folder = storage.root / SCRATCH
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    try:
        yield DiskStorage(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(hidden: HiddenObjects) -> None:
    """Keys without the right to list or to delete are what a check is for: it goes on."""
    with suppress(StorageError):
        hidden.clear()
    with suppress(StorageError):
        hidden.delete(contract.KEYS)
