"""Where the bytes are kept: a bucket (S3, R2) or a folder, behind one contract."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import Any

from botocore.config import Config
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
from media_app.storage.s3 import RefusedError, S3Storage

__all__ = [
    "CHUNK",
    "DeleteError",
    "DiskStorage",
    "ObjectExistsError",
    "OpenedObject",
    "RefusedError",
    "S3Storage",
    "Storage",
    "StorageError",
    "StoredObject",
    "media_storage",
    "probing_storage",
]

_lock = Lock()
# By process id: a forked child must not write into its parent's connections.
_built: dict[int, Storage] = {}
# A lock of its own: a probe that hangs in a dead mount must not stop those who serve files.
_probe_lock = Lock()
_built_for_probes: dict[int, Storage] = {}
# A probe's patience with a bucket: one attempt, and an answer within two seconds.
_PROBE_CONFIG = Config(
    connect_timeout=1,
    read_timeout=1.5,
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=2,
)


def media_storage() -> Storage:
    """The storage that ``STORAGES["media"]`` describes, built once in each process.

    Raises ImproperlyConfigured when it is neither a bucket nor a folder.
    """
    with _lock:
        storage = _built.get(os.getpid())
        if storage is None:
            storage = _built[os.getpid()] = _build()
        return storage


def probing_storage() -> Storage:
    """The same storage, asked with little patience: for finding out whether it works."""
    with _probe_lock:
        storage = _built_for_probes.get(os.getpid())
        if storage is None:
            storage = _built_for_probes[os.getpid()] = _build(_PROBE_CONFIG)
        return storage


def _build(config: Config | None = None) -> Storage:
    """``config`` overrides what the settings say of a bucket's client."""
    described = settings.STORAGES["media"]
    options = described.get("OPTIONS", {})
    if config is not None and "client_config" in options:
        described = {
            **described,
            "OPTIONS": {
                **options,
                "client_config": options["client_config"].merge(config),
            },
        }
    # Made anew, not storages["media"]: that one may carry a client over a fork.
    storage = storages.create_storage(described)
    if isinstance(storage, DjangoS3Storage):
        # Its connection belongs to the thread and takes half a second to make; the client in it is
        # thread-safe.
        return S3Storage(storage.connection.meta.client, storage.bucket.name)
    if isinstance(storage, FileSystemStorage):
        return DiskStorage(Path(storage.location))
    raise ImproperlyConfigured(
        f'STORAGES["media"] is a {type(storage).__name__}: neither a bucket nor a folder'
    )


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"STORAGES", "MEDIA_ROOT"}:
        _built.clear()
        _built_for_probes.clear()


setting_changed.connect(_forget, dispatch_uid="media_app.storage")
