"""Stores on S3 servers of 127.0.0.1, and short ways to put and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path

import boto3
from botocore.config import Config

from media_app.storage import S3Storage, Storage
from tests.servers import S3_KEY_ID, S3_SECRET

KEY = "whatsapp:+14335551212/1716120082-0-3fa9c1d2e4b7.jpeg"


@contextmanager
def connect(
    port: int,
    bucket: str,
    *,
    read_timeout: float = 30,
    certificate: Path | None = None,
    attempts: int = 1,
) -> Iterator[S3Storage]:
    """A bucket over a client of its own, configured as the settings do; over TLS with a
    ``certificate``.
    """
    client = boto3.Session(S3_KEY_ID, S3_SECRET, region_name="us-east-1").client(
        "s3",
        endpoint_url=f"{'https' if certificate else 'http'}://127.0.0.1:{port}",
        verify=str(certificate) if certificate else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=5,
            read_timeout=read_timeout,
        ),
    )
    with closing(client):
        yield S3Storage(client, bucket)


def put(
    storage: Storage,
    key: str = KEY,
    content: bytes = b"a photo",
    *,
    content_type: str = "image/jpeg",
    metadata: Mapping[str, str] | None = None,
    replace: bool = False,
) -> None:
    storage.put(
        key,
        BytesIO(content),
        size=len(content),
        content_type=content_type,
        metadata=metadata or {},
        replace=replace,
    )


def read(
    storage: Storage, key: str = KEY, start: int = 0, stop: int | None = None
) -> bytes:
    opened = storage.open_range(key, start, stop)
    assert opened is not None
    with closing(opened):
        return b"".join(opened.chunks())


def keys(storage: Storage, prefix: str = "") -> list[str]:
    return [found.key for found in storage.list(prefix)]
