"""What a bucket is asked by the network."""

from __future__ import annotations

import gzip
from contextlib import closing
from io import BytesIO
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from media_app.filetypes import UNKNOWN
from media_app.storage import S3Storage, StorageError
from media_app.storage.s3 import MAX_PUT
from simulator.processes import free_port
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.storage.buckets import KEY, connect, keys, put, read
from tests.storage.wire import counting

MB = 1024 * 1024


def port_of(storage: S3Storage) -> int:
    return urlsplit(storage.client.meta.endpoint_url).port or 0


def test_one_byte_of_a_large_object_costs_one_small_answer(bucket: S3Storage) -> None:
    put(bucket, content=bytes(20 * MB - 1) + b"!")
    with (
        counting(port_of(bucket)) as (port, counter),
        connect(port, bucket.bucket) as counted,
    ):
        assert read(counted, start=20 * MB - 1) == b"!"
        assert read(counted, start=0, stop=1) == b"\0"
        assert 0 < counter.received <= 64 * 1024
        assert len(read(counted, start=MB, stop=2 * MB)) == MB
        assert MB < counter.received < MB + 128 * 1024


def test_a_copy_has_the_bytes_and_nothing_else_of_its_object(bucket: S3Storage) -> None:
    public = S3Storage(bucket.client, f"{bucket.bucket}-public")
    bucket.client.create_bucket(Bucket=public.bucket)
    put(bucket, content=b"a photo", metadata={"record": "her number"})
    headers = {"content_type": "image/png", "disposition": "inline"}
    headers["cache_control"] = "no-cache"
    assert public.copy_from(bucket.bucket, KEY, to="0000.png", **headers)
    assert not public.copy_from(bucket.bucket, "absent.png", to="1111.png", **headers)
    found = public.client.head_object(Bucket=public.bucket, Key="0000.png")
    assert (keys(public), read(public, "0000.png")) == (["0000.png"], b"a photo")
    assert (found["ContentType"], "record" in found["Metadata"]) == ("image/png", False)


def test_more_than_one_put_may_carry_is_refused(moto: S3Storage) -> None:
    with pytest.raises(ValueError, match="more than one put"):
        moto.put(
            KEY, BytesIO(), size=MAX_PUT + 1, content_type="video/mp4", metadata={}
        )


def test_metadata_names_are_lower_case_whatever_the_server_does(
    rclone: S3Storage,
) -> None:
    put(rclone, metadata={"sha256": "ab"})
    named = rclone.client.head_object(Bucket=rclone.bucket, Key=KEY)["Metadata"]
    assert "Sha256" in named
    found = rclone.head(KEY)
    assert found is not None
    assert found.metadata == {"sha256": "ab"}


def test_keys_that_others_wrote_are_listed_read_and_deleted(moto: S3Storage) -> None:
    foreign = ["a//b", "a/.hidden", "folder/"]
    for key in foreign:
        moto.client.put_object(Bucket=moto.bucket, Key=key, Body=b"theirs")
    assert keys(moto) == sorted(foreign)
    assert [read(moto, key) for key in foreign] == [b"theirs"] * 3
    moto.delete(foreign)
    assert keys(moto) == []


def test_deletes_carry_both_checksums_that_servers_ask_for(bucket: S3Storage) -> None:
    sent: list[AWSPreparedRequest] = []
    with connect(port_of(bucket), bucket.bucket) as storage:
        storage.client.meta.events.register(
            "before-send.s3.DeleteObjects",
            lambda request, **kwargs: sent.append(request),
        )
        put(storage)
        storage.delete([KEY])
        assert storage.head(KEY) is None
    assert {"Content-MD5", "x-amz-checksum-crc32"} <= set(sent[0].headers)


def test_a_delete_asks_for_a_thousand_at_a_time(
    moto: S3Storage, moto_port: int
) -> None:
    """S3 refuses more; the servers of these tests do not."""
    sizes: list[int] = []
    with connect(moto_port, moto.bucket) as storage:
        storage.client.meta.events.register(
            "before-send.s3.DeleteObjects",
            lambda request, **kwargs: sizes.append(request.body.count(b"<Key>")),
        )
        storage.delete(f"none/{number}" for number in range(2001))
    assert sizes == [1000, 1000, 1]


def test_bytes_that_were_put_compressed_come_back_compressed(bucket: S3Storage) -> None:
    packed = gzip.compress(b"a photo")
    bucket.client.put_object(
        Bucket=bucket.bucket, Key=KEY, Body=packed, ContentEncoding="gzip"
    )
    assert read(bucket) == packed


def test_a_link_says_of_the_object_what_it_is_told_to(moto: S3Storage) -> None:
    put(moto, content_type="image/jpeg")
    said = {"content_type": UNKNOWN, "disposition": 'attachment; filename="a.jpeg"'}
    answer = requests.get(moto.url(KEY, 60, **said), timeout=60)
    assert (answer.status_code, answer.content) == (200, b"a photo")
    assert answer.headers["Content-Type"] == said["content_type"]
    assert answer.headers["Content-Disposition"] == said["disposition"]


def test_a_link_lasts_as_long_as_asked_and_lets_nobody_else_in(
    rclone: S3Storage,
) -> None:
    put(rclone)
    link = rclone.url(KEY, 77)
    assert "X-Amz-Expires=77&" in link
    longer = link.replace("X-Amz-Expires=77", "X-Amz-Expires=78")
    assert requests.get(longer, timeout=60).status_code == 403


def test_a_link_on_aws_leads_to_its_region_with_the_session() -> None:
    session = boto3.Session(S3_KEY_ID, S3_SECRET, "a-token", region_name="eu-west-1")
    with closing(
        session.client("s3", config=Config(signature_version="s3v4"))
    ) as client:
        link = S3Storage(client, "media").url(KEY, 60)
    assert link.startswith("https://media.s3.eu-west-1.amazonaws.com/whatsapp")
    assert "X-Amz-Security-Token=a-token" in link
    assert "X-Amz-SignedHeaders=host&" in link


def test_a_link_that_cannot_be_signed_is_an_error() -> None:
    with (
        connect(free_port(), "media") as storage,
        pytest.raises(StorageError, match="get: ParamValidationError"),
    ):
        storage.url("", 60)
