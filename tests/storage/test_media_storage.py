"""The storage that the settings describe."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from media_app.storage import DiskStorage, S3Storage, media_storage
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.storage.buckets import put, read


def media_is(backend: str, **options: Any) -> override_settings:
    return override_settings(
        STORAGES={
            **django_settings.STORAGES,
            "media": {"BACKEND": backend, "OPTIONS": options},
        }
    )


def folder(path: Path) -> override_settings:
    return media_is("media_app.storage.disk.DiskStorage", root=str(path))


def bucket(port: int, name: str) -> override_settings:
    return media_is(
        "media_app.storage.s3.S3Bucket",
        bucket_name=name,
        access_key=S3_KEY_ID,
        secret_key=S3_SECRET,
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
    )


def test_a_folder_of_the_settings_is_a_disk_storage(tmp_path: Path) -> None:
    with folder(tmp_path / "media"):
        storage = media_storage()
        assert isinstance(storage, DiskStorage)
        put(storage, "a/b")
    assert (tmp_path / "media" / "a" / "b").read_bytes() == b"a photo"


def test_a_bucket_of_the_settings_is_an_s3_storage(
    moto_port: int, moto: S3Storage
) -> None:
    with bucket(moto_port, moto.bucket):
        storage = media_storage()
        assert isinstance(storage, S3Storage)
        put(storage, "a/b")
        storage.client.close()
    assert read(moto, "a/b") == b"a photo"


class ToyStorage(DiskStorage):
    """A storage that the product does not know."""


def test_a_storage_is_chosen_by_its_path(tmp_path: Path) -> None:
    with media_is(f"{__name__}.ToyStorage", root=str(tmp_path)):
        assert isinstance(media_storage(), ToyStorage)


def test_all_threads_share_one_storage_and_its_client(
    moto_port: int, moto: S3Storage
) -> None:
    with bucket(moto_port, moto.bucket), ThreadPoolExecutor(8) as pool:
        assert (
            len(
                {
                    id(storage)
                    for storage in pool.map(lambda _: media_storage(), range(32))
                }
            )
            == 1
        )


def test_changed_settings_are_followed(tmp_path: Path) -> None:
    with folder(tmp_path / "one"):
        first = media_storage()
        assert media_storage() is first
    with folder(tmp_path / "two"):
        second = media_storage()
        assert isinstance(second, DiskStorage)
        assert second.root == tmp_path / "two"


def test_a_forked_child_builds_its_own(moto_port: int, moto: S3Storage) -> None:
    """With its parent's client it would write into its parent's connections."""
    with bucket(moto_port, moto.bucket):
        mine = media_storage()
        assert isinstance(mine, S3Storage)
        child = os.fork()
        if child == 0:
            theirs = media_storage()
            os._exit(
                0
                if isinstance(theirs, S3Storage) and theirs.client is not mine.client
                else 1
            )
        assert os.waitpid(child, 0)[1] == 0


def test_another_kind_of_storage_is_a_mistake_of_the_settings() -> None:
    with (
        media_is("django.core.files.storage.InMemoryStorage"),
        pytest.raises(
            ImproperlyConfigured,
            match="InMemoryStorage, which is not a",
        ),
    ):
        media_storage()
