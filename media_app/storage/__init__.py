"""Where the bytes are kept: a bucket (S3, R2) or a folder, behind one contract."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, storages
from django.core.signals import setting_changed
from storages.backends.s3 import S3Storage as DjangoS3Storage

from media_app.storage.base import (
    CHUNK,
    DeleteError,
    ObjectExistsError,
    OpenedObject,
    Storage,
    StorageError,
    StoredObject,
)
from media_app.storage.disk import DiskStorage
from media_app.storage.s3 import S3Storage

__all__ = [
    "CHUNK",
    "DeleteError",
    "DiskStorage",
    "ObjectExistsError",
    "OpenedObject",
    "S3Storage",
    "Storage",
    "StorageError",
    "StoredObject",
    "media_storage",
]

_lock = Lock()
# By process id: a forked child must not write into its parent's connections.
_built: dict[int, Storage] = {}


def media_storage() -> Storage:
    """The storage that ``STORAGES["media"]`` describes, built once in each process.

    Raises ImproperlyConfigured when it is neither a bucket nor a folder.
    """
    with _lock:
        storage = _built.get(os.getpid())
        if storage is None:
            storage = _built[os.getpid()] = _build()
        return storage


def _build() -> Storage:
    # Made anew, not storages["media"]: that one may carry a client over a fork.
    storage = storages.create_storage(settings.STORAGES["media"])
    if isinstance(storage, DjangoS3Storage):
        # Its connection belongs to the thread and takes half a second to make; the client in it is thread-safe.
        return S3Storage(storage.connection.meta.client, storage.bucket.name)
    if isinstance(storage, FileSystemStorage):
        return DiskStorage(Path(storage.location))
    raise ImproperlyConfigured(f'STORAGES["media"] is a {type(storage).__name__}: neither a bucket nor a folder')


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"STORAGES", "MEDIA_ROOT"}:
        _built.clear()


setting_changed.connect(_forget, dispatch_uid="media_app.storage")
