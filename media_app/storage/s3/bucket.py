"""The storage contract over a boto3 client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from io import BytesIO
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from media_app.storage.base import (
    MARKER,
    MAX_MARKER,
    DeleteError,
    Leftovers,
    ObjectExistsError,
    Storage,
    StorageError,
    StoredObject,
    check_prefix,
    check_put,
    check_range,
)
from media_app.storage.s3.errors import RefusedError, s3_errors
from media_app.storage.s3.handlers import add_md5, in_region
from media_app.storage.s3.leftovers import Uploads
from media_app.storage.s3.ranges import answered_extent, range_header
from media_app.storage.s3.reads import LINK_LASTS, S3Object, SignedReads

if TYPE_CHECKING:
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

# What is below is for a moment: probes, and what a check of the storage puts.
_HIDDEN = f"{MARKER}-"
# Probes are hidden from listings. Each has its own key: R2 accepts one put a second under the same
# key.
_PROBES = f"{_HIDDEN}probe/"


class S3Storage(Storage):
    """A bucket. All threads share the boto3 client. A put is one request whatever its size; a read
    asks for its range and nothing more.
    """

    def __init__(
        self, client: S3Client, bucket: str, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self.client = client
        self.bucket = bucket
        sign = partial(self.url, seconds=LINK_LASTS)
        self._reads = SignedReads(client, bucket, sign=sign, clock=clock)
        client.meta.events.register(
            "before-sign.s3.DeleteObjects", add_md5, unique_id="mediahub-delete-md5"
        )
        client.meta.events.register(
            "before-parameter-build.s3.GetObject",
            in_region,
            unique_id="mediahub-in-region",
        )

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
        """As the contract says; ValueError over 5 GB too. Some servers (rclone) replace in any
        case.
        """
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
        self._put(request, replace=replace)

    def _put(self, request: PutObjectRequestTypeDef, *, replace: bool) -> None:
        if not replace:
            request["IfNoneMatch"] = "*"
        try:
            with s3_errors("put"):
                self.client.put_object(**request)
        except RefusedError as error:
            # 412: it is there. 409: another put of it is under way.
            if not replace and error.status in {409, 412}:
                raise ObjectExistsError(request["Key"]) from error
            raise

    def copy_from(
        self,
        bucket: str,
        key: str,
        *,
        to: str,
        content_type: str,
        disposition: str,
        cache_control: str,
    ) -> bool:
        """Copy an object of another bucket of the same account to the key ``to``; False if it is
        absent.

        The bytes stay inside the server. The copy has these headers and none of the object's
        metadata. Raises StorageError: then a copy may be there, or still come.
        """
        try:
            with s3_errors("copy"):
                self.client.copy_object(
                    Bucket=self.bucket,
                    Key=to,
                    CopySource={"Bucket": bucket, "Key": key},
                    MetadataDirective="REPLACE",
                    Metadata={},
                    ContentType=content_type,
                    ContentDisposition=disposition,
                    CacheControl=cache_control,
                )
        except RefusedError as error:
            if error.code == "NoSuchKey":
                return False
            raise
        return True

    def open_range(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> S3Object | None:
        check_range(start, stop)
        try:
            headers, body = self._reads.get(key, range_header(start, stop))
        except RefusedError as error:
            # By its code: a missing bucket, or a server that speaks no S3, answers 404 as well.
            if error.code == "NoSuchKey":
                return None
            if error.status != 416:
                raise
            if start:
                raise ValueError(f"{start} is not within the object") from error
            # Only an empty object has no byte 0.
            return S3Object(BytesIO(), start=0, stop=0, total=0)
        try:
            stop, total = answered_extent(headers, start, stop)
        except StorageError:
            body.close()
            raise
        return S3Object(body, start=start, stop=stop, total=total)

    def url(
        self, key: str, seconds: int, *, content_type: str = "", disposition: str = ""
    ) -> str:
        request: GetObjectRequestTypeDef = {"Bucket": self.bucket, "Key": key}
        if content_type:
            request["ResponseContentType"] = content_type
        if disposition:
            request["ResponseContentDisposition"] = disposition
        with s3_errors("get"):
            return self.client.generate_presigned_url(
                "get_object", Params=request, ExpiresIn=seconds
            )

    def head(self, key: str) -> StoredObject | None:
        try:
            with s3_errors("head"):
                return _stored(
                    key, self.client.head_object(Bucket=self.bucket, Key=key)
                )
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
        with s3_errors("list"):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for found in page.get("Contents", ()):
                    # The marker, probes and what a check puts begin alike.
                    if found["Key"].startswith(MARKER):
                        continue
                    yield StoredObject(
                        key=found["Key"],
                        size=found["Size"],
                        modified=found["LastModified"],
                    )

    def delete(self, keys: Iterable[str]) -> None:
        remaining: dict[str, str] = {}
        wanted = iter(keys)
        while batch := [*islice(wanted, DELETE_BATCH)]:
            with s3_errors("delete"):
                answer = self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            remaining |= {
                error["Key"]: error.get("Code", "no reason given")
                for error in answer.get("Errors", ())
            }
        if remaining:
            raise DeleteError(
                f"{len(remaining)} objects remain: {next(iter(remaining.values()))}",
                tuple(remaining),
            )

    def probe(self, size: int) -> None:
        key = f"{_PROBES}{uuid4().hex}"
        self._put({"Bucket": self.bucket, "Key": key, "Body": b"probe"}, replace=True)
        self.delete([key])

    @property
    def leftovers(self) -> Leftovers:
        return Uploads(self.client, self.bucket, hidden=_HIDDEN)

    def clock(self) -> datetime:
        with s3_errors("head"):
            answer = self.client.head_bucket(Bucket=self.bucket)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(date)
        except ValueError as error:
            raise StorageError("the bucket does not say what time it is") from error

    def marker(self) -> str | None:
        answer = self._get(MARKER)
        if answer is None:
            return None
        with closing(answer["Body"]) as body, s3_errors("get"):
            return body.read(MAX_MARKER).decode("utf-8", "replace").strip()

    def write_marker(self, text: str, *, replace: bool = False) -> None:
        request: PutObjectRequestTypeDef = {
            "Bucket": self.bucket,
            "Key": MARKER,
            "Body": f"{text}\n".encode(),
            "ContentType": "text/plain",
        }
        self._put(request, replace=replace)

    def _get(self, key: str) -> GetObjectOutputTypeDef | None:
        try:
            with s3_errors("get"):
                return self.client.get_object(Bucket=self.bucket, Key=key)
        except RefusedError as error:
            if error.code == "NoSuchKey":
                return None
            raise


def _stored(
    key: str, answer: HeadObjectOutputTypeDef | GetObjectOutputTypeDef
) -> StoredObject:
    return StoredObject(
        key=key,
        size=answer["ContentLength"],
        modified=answer["LastModified"],
        content_type=answer.get("ContentType", ""),
        # Header names know no case; rclone capitalises them.
        metadata={
            name.lower(): value for name, value in answer.get("Metadata", {}).items()
        },
    )
