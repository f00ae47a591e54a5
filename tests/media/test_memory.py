from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from simulator.accounts import Accounts
from simulator.content import Kind
from simulator.file_ids import FileId
from simulator.processes import Process, accepts_connections, free_port
from tests.servers import S3_KEY_ID, S3_SECRET, rclone_server

REPOSITORY = Path(__file__).parents[2]
#: What Meta takes in at most.
LARGE = 100 * 1024 * 1024
MORE_THAN_IDLE = 64 * 1024


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A provider in a process of its own, and the environment that leads there."""
    port, cdn_port = free_port(), free_port()
    accounts = Accounts()
    secrets = {
        "META_ACCESS_TOKEN": accounts.meta_access_token,
        "META_APP_SECRET": accounts.meta_app_secret,
    }
    process = Process(
        "provider",
        [
            sys.executable,
            "-m",
            "simulator.provider",
            "--port",
            str(port),
            "--cdn-port",
            str(cdn_port),
        ],
        log=tmp_path_factory.mktemp("provider") / "provider.log",
        env={**os.environ, **secrets},
        cwd=REPOSITORY,
        ready=accepts_connections(cdn_port),
    )
    process.start()
    yield {
        **secrets,
        "META_GRAPH_URL": f"http://127.0.0.1:{port}",
        "META_MEDIA_HOSTS": f"127.0.0.1:{cdn_port}",
    }
    process.stop()


@pytest.fixture(params=["local", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Mapping[str, str]]:
    """The environment that leads to a folder or to a bucket."""
    if request.param == "local":
        yield {"MEDIA_STORAGE_BACKEND": "local", "MEDIA_ROOT": str(tmp_path / "media")}
        return
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = rclone_server(tmp_path, port)
    server.start()
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=S3_KEY_ID,
        aws_secret_access_key=S3_SECRET,
    )
    client.create_bucket(Bucket="media")
    client.close()
    yield {
        "MEDIA_STORAGE_BACKEND": "s3",
        "AWS_S3_BUCKET": "media",
        "AWS_ACCESS_KEY_ID": S3_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_S3_ENDPOINT_URL": endpoint,
    }
    server.stop()


def test_a_document_of_100_mb_takes_little_memory(
    vendor: Mapping[str, str], place: Mapping[str, str], tmp_path: Path
) -> None:
    # An id is good for seven days.
    now = int(time.time())
    small, large = (FileId(Kind.DOCUMENT, 1, now, size).meta for size in (0, LARGE))
    result = subprocess.run(
        [sys.executable, "-m", "tests.media.large_document", small, large],
        env={
            **os.environ,
            **vendor,
            **place,
            "DJANGO_SETTINGS_MODULE": "mediahub.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    told = json.loads(result.stdout)
    assert [row["state"] for row in told["rows"]] == ["stored", "stored"], told
    assert told["rows"][1]["size"] == LARGE
    assert (
        told["rows"][1]["sha256"]
        == FileId(Kind.DOCUMENT, 1, now, LARGE).content().sha256
    )
    assert told["peak"] - told["idle"] < MORE_THAN_IDLE
