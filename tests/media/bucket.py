"""A folder as storage, with points to step in at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pytest_django import Settings

from media_app.storage import DiskStorage
from mediahub.storages import s3_storage


def name_buckets(settings: Settings) -> None:
    """Files are kept in one bucket, public copies in another one. There is no server: nothing can
    be read or put.
    """
    media = s3_storage(
        bucket="media",
        key_id="id",
        secret="secret",
        region="auto",
        endpoint="http://127.0.0.1:1",
    )
    settings.STORAGES = {**settings.STORAGES, "media": media}
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = "public", "https://cdn.example"


def _nothing() -> None:
    pass


class Bucket(DiskStorage):
    """The real folder storage. ``before_put`` and ``after_put`` are called once each, at the next
    put, ``before_delete`` and ``after_delete`` at the next delete.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        #: Keys in the order of their puts.
        self.puts: list[str] = []
        self.before_put: Callable[[], object] = _nothing
        self.after_put: Callable[[], object] = _nothing
        self.before_delete: Callable[[], object] = _nothing
        self.after_delete: Callable[[], object] = _nothing
        self.deletes = 0

    def put(self, key: str, *args: Any, **kwargs: Any) -> None:
        step, self.before_put = self.before_put, _nothing
        step()
        super().put(key, *args, **kwargs)
        self.puts.append(key)
        step, self.after_put = self.after_put, _nothing
        step()

    def delete(self, keys: Iterable[str]) -> None:
        self.deletes += 1
        step, self.before_delete = self.before_delete, _nothing
        step()
        super().delete(keys)
        step, self.after_delete = self.after_delete, _nothing
        step()

    def read(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def keys(self) -> list[str]:
        return [found.key for found in self.list("")]
