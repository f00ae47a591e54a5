"""Objects in a bucket that speaks S3: AWS, Cloudflare R2 and others.

One client for all threads. A put is one request whatever its size; a read asks for
its range and nothing more.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from media_app.storage.base import (
    CHUNK,
    DeleteError,
    ObjectExistsError,
    Storage,
    StorageError,
    StoredObject,
    check_prefix,
    check_put,
    check_range,
)

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        GetObjectRequestTypeDef,
        HeadObjectOutputTypeDef,
        PutObjectRequestTypeDef,
    )

# S3's limit for a put in one request.
MAX_PUT = 5 * 1024**3
# S3's limit for one DeleteObjects.
DELETE_BATCH = 1000

# RFC 9110 §14.4, with the whole size known.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


class S3Object:
    """A part of an object, arriving."""

    def __init__(self, body: StreamingBody | BytesIO, *, start: int, stop: int, total: int) -> None:
        self.start = start
        self.stop = stop
        self.total = total
        self._body = body

    def chunks(self) -> Iterator[bytes]:
        left = self.stop - self.start
        while left:
            with _s3_errors("reading"):
                chunk = self._body.read(min(CHUNK, left))
            if not chunk:
                raise StorageError(f"the bucket broke off {left} bytes early")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Give the connection back, or drop it when bytes are left on it."""
        self._body.close()


class S3Storage(Storage):
    """A bucket. The client is a boto3 one, used by all threads."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self.client = client
        self.bucket = bucket
        client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5, unique_id="mediahub-delete-md5")

    def put(
        self,
        key: str,
        body: BinaryIO,
        *,
        size: int,
        content_type: str,
        metadata: Mapping[str, str],
        replace: bool = False,
    ) -> None:
        """As the contract says; ValueError over 5 GB too. Some servers (rclone) replace in any case."""
        if size > MAX_PUT:
            raise ValueError(f"{size} bytes is more than one put may carry")
        check_put(key, body, size=size, content_type=content_type, metadata=metadata)
        request: PutObjectRequestTypeDef = {
            "Bucket": self.bucket,
            "Key": key,
            "Body": body,
            "ContentLength": size,
            "ContentType": content_type,
            "Metadata": metadata,
        }
        if not replace:
            request["IfNoneMatch"] = "*"
        try:
            with _s3_errors("put"):
                self.client.put_object(**request)
        except RefusedError as error:
            # 412: it is there. 409: another put of it is under way.
            if not replace and error.status in {409, 412}:
                raise ObjectExistsError(key) from error
            raise

    def open_range(self, key: str, start: int = 0, stop: int | None = None) -> S3Object | None:
        check_range(start, stop)
        try:
            answer = self._get(key, _byte_range(start, stop))
        except RefusedError as error:
            if error.status != 416:
                raise
            if start:
                raise ValueError(f"{start} is not within the object") from error
            # Only an empty object has no byte 0.
            return S3Object(BytesIO(), start=0, stop=0, total=0)
        if answer is None:
            return None
        try:
            stop, total = _extent(answer, start, stop)
        except StorageError:
            answer["Body"].close()
            raise
        return S3Object(answer["Body"], start=start, stop=stop, total=total)

    def head(self, key: str) -> StoredObject | None:
        try:
            with _s3_errors("head"):
                return _stored(key, self.client.head_object(Bucket=self.bucket, Key=key))
        except RefusedError as error:
            if error.status != 404:
                raise
        # The answer to a HEAD has no body to say which is missing, the object or the whole bucket.
        answer = self._get(key)
        if answer is None:
            return None
        answer["Body"].close()
        return _stored(key, answer)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        check_prefix(prefix)
        return self._pages(prefix)

    def _pages(self, prefix: str) -> Iterator[StoredObject]:
        with _s3_errors("list"):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield StoredObject(key=found["Key"], size=found["Size"], modified=found["LastModified"])

    def delete(self, keys: Iterable[str]) -> None:
        remaining: dict[str, str] = {}
        wanted = iter(keys)
        while batch := [*islice(wanted, DELETE_BATCH)]:
            with _s3_errors("delete"):
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            remaining |= {error["Key"]: error.get("Code", "no reason given") for error in answer.get("Errors", ())}
        if remaining:
            raise DeleteError(f"{len(remaining)} objects remain: {next(iter(remaining.values()))}", tuple(remaining))

    def _get(self, key: str, byte_range: str = "") -> GetObjectOutputTypeDef | None:
        request: GetObjectRequestTypeDef = {"Bucket": self.bucket, "Key": key}
        if byte_range:
            request["Range"] = byte_range
        try:
            with _s3_errors("get"):
                return self.client.get_object(**request)
        except RefusedError as error:
            # By its code: a missing bucket, or a server that speaks no S3, answers 404 as well.
            if error.code == "NoSuchKey":
                return None
            raise


class RefusedError(StorageError):
    """The server answered, and refused."""

    def __init__(self, doing: str, code: str, status: int) -> None:
        super().__init__(f"the bucket, {doing}: {code} ({status})")
        self.code = code
        self.status = status


@contextmanager
def _s3_errors(doing: str) -> Iterator[None]:
    """All that can go wrong, as StorageError. The causes' own texts name addresses and keys: they stay out."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "no reason given")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise RefusedError(doing, code, status) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise StorageError(f"the bucket, {doing}: {type(error).__name__}") from error


def _byte_range(start: int, stop: int | None) -> str:
    """The Range to ask for; "" for the whole object."""
    if stop is None:
        return f"bytes={start}-" if start else ""
    # A Range is never empty: for no bytes ask for one, and leave it.
    return f"bytes={start}-{max(stop, start + 1) - 1}"


def _extent(answer: GetObjectOutputTypeDef, start: int, stop: int | None) -> tuple[int, int]:
    """Where the answered part stops, and the whole size.

    The status says nothing: rclone answers a range with 200. Raises StorageError when the
    body is not the part that was asked for.
    """
    if content_range := answer.get("ContentRange"):
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None:
            raise StorageError(f"the bucket answered a range that cannot be read: {content_range!r}")
        first, last, total = (int(number) for number in match.groups())
        stop = total if stop is None else min(stop, total)
        if first != start or last + 1 < stop:
            raise StorageError(f"the bucket answered another range than asked: {content_range!r}")
        return stop, total
    if start:
        raise StorageError("the bucket answered the whole object to a range")
    if "ContentLength" not in answer:
        raise StorageError("the bucket did not say how large the object is")
    total = answer["ContentLength"]
    return total if stop is None else min(stop, total), total


def _stored(key: str, answer: HeadObjectOutputTypeDef | GetObjectOutputTypeDef) -> StoredObject:
    return StoredObject(
        key=key,
        size=answer["ContentLength"],
        modified=answer["LastModified"],
        content_type=answer.get("ContentType", ""),
        # Header names know no case; rclone capitalises them.
        metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
    )


def _add_md5(request: AWSRequest, **kwargs: object) -> None:
    """Content-MD5 beside boto3's CRC32: servers older than that checksum want it for a DeleteObjects."""
    if "Content-MD5" not in request.headers:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = b64encode(digest).decode()
