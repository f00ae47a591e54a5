"""What killed writers left: found, and removed unless they live."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from media_app.storage import DiskStorage, S3Storage, Storage
from tests.storage.buckets import KEY, keys, put


def test_the_clock_is_that_of_objects(storage: Storage) -> None:
    put(storage)
    head = storage.head(KEY)
    assert head is not None
    assert timedelta(0) <= storage.clock() - head.modified < timedelta(minutes=5)
    assert abs(storage.clock() - datetime.now(UTC)) < timedelta(minutes=5)


def test_objects_are_no_leftovers(storage: Storage) -> None:
    put(storage)
    storage.write_marker("ours")
    assert [*storage.leftovers] == []


def test_an_upload_in_parts_is_aborted(bucket: S3Storage) -> None:
    put(bucket, "other.jpeg")
    begun = bucket.client.create_multipart_upload(Bucket=bucket.bucket, Key=KEY)
    (found,) = bucket.leftovers
    assert (found.key, found.id) == (KEY, begun["UploadId"])
    assert found.modified.tzinfo is not None
    bucket.leftovers.remove(found)
    bucket.leftovers.remove(found)
    assert ([*bucket.leftovers], keys(bucket)) == ([], ["other.jpeg"])


def test_a_probe_that_stayed_is_removed(bucket: S3Storage) -> None:
    bucket.client.put_object(
        Bucket=bucket.bucket, Key=".mediahub-probe/1", Body=b"probe"
    )
    (found,) = bucket.leftovers
    bucket.leftovers.remove(found)
    assert [*bucket.leftovers] == []


def test_hidden_files_without_an_owner_are_removed(disk: DiskStorage) -> None:
    put(disk)
    folder = (disk.root / KEY).parent
    lost = {folder / ".gone.jpeg.meta", folder / f".{'0' * 32}.part"}
    for path in lost:
        path.write_bytes(b"x")
    found = [*disk.leftovers]
    assert {disk.root / each.key for each in found} == lost
    for each in found:
        disk.leftovers.remove(each)
        disk.leftovers.remove(each)
    assert ([*disk.leftovers], keys(disk)) == ([], [KEY])


def test_a_part_whose_writer_lives_stays(disk: DiskStorage) -> None:
    path = disk.root / f".{'0' * 32}.part"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (found,) = disk.leftovers
        disk.leftovers.remove(found)
        assert path.exists()
    disk.leftovers.remove(found)
    assert not path.exists()


def test_a_sidecar_whose_object_came_stays(disk: DiskStorage, tmp_path: Path) -> None:
    put(disk)
    object = disk.root / KEY
    object.rename(tmp_path / "away")
    (found,) = disk.leftovers
    (tmp_path / "away").rename(object)
    disk.leftovers.remove(found)
    head = disk.head(KEY)
    assert head is not None and head.content_type == "image/jpeg"
