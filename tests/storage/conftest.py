"""The three places under one contract: a folder, a strict S3 server (moto) and a fast one
(rclone).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from mypy_boto3_s3 import S3Client

from media_app.storage import DiskStorage, S3Storage, Storage
from simulator.processes import free_port
from tests.servers import rclone_server
from tests.storage.buckets import connect


@pytest.fixture(scope="session")
def rclone_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    directory = tmp_path_factory.mktemp("rclone")
    server = rclone_server(directory, port, folders_seen_after="5m")
    server.start()
    yield port
    server.stop()


@pytest.fixture(scope="session")
def rclone_client(rclone_port: int) -> Iterator[S3Client]:
    with connect(rclone_port, "none") as storage:
        yield storage.client


def _new_bucket(client: S3Client) -> S3Storage:
    storage = S3Storage(client, f"media-{uuid4().hex[:12]}")
    client.create_bucket(Bucket=storage.bucket)
    return storage


@pytest.fixture
def disk(tmp_path: Path) -> DiskStorage:
    return DiskStorage(tmp_path / "media")


@pytest.fixture
def moto(moto_client: S3Client) -> S3Storage:
    return _new_bucket(moto_client)


@pytest.fixture
def rclone(rclone_client: S3Client) -> S3Storage:
    return _new_bucket(rclone_client)


@pytest.fixture(params=["disk", "moto", "rclone"])
def storage(request: pytest.FixtureRequest) -> Storage:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Storage)
    return found


@pytest.fixture(params=["moto", "rclone"])
def bucket(request: pytest.FixtureRequest) -> S3Storage:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, S3Storage)
    return found
