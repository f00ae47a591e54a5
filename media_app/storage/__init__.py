"""Where the bytes are stored: a bucket (S3, R2) or a folder, behind one contract."""

from __future__ import annotations

import os
from threading import Lock
from typing import Any

from botocore.config import Config
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.signals import setting_changed

from media_app.storage.base import (
    CHUNK,
    DeleteError,
    Leftover,
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
    "Leftover",
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
# For probes: one attempt, and an answer of the bucket within two seconds.
_PROBE_CONFIG = Config(
    connect_timeout=1,
    read_timeout=1.5,
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=2,
)


def media_storage() -> Storage:
    """The storage that ``STORAGES["media"]`` describes, built once in each process.

    Raises ImproperlyConfigured when its class is none of ours.
    """
    with _lock:
        storage = _built.get(os.getpid())
        if storage is None:
            storage = _built[os.getpid()] = _build()
        return storage


def probing_storage() -> Storage:
    """The same storage with short timeouts: for finding out whether it works."""
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
    # Not storages["media"], which may carry a client over a fork.
    storage: object = storages.create_storage(described)
    if not isinstance(storage, Storage):
        kind = type(storage).__name__
        raise ImproperlyConfigured(
            f'STORAGES["media"] is a {kind}, which is not a media_app.storage.Storage'
        )
    return storage


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting in {"STORAGES", "MEDIA_ROOT"}:
        _built.clear()
        _built_for_probes.clear()


setting_changed.connect(_forget, dispatch_uid="media_app.storage")
