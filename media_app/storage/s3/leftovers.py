"""Uploads in parts that were never completed, and hidden objects that were never removed.

The hub itself puts each object in one request. Uploads in parts are of programs that copy buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from media_app.storage.base import Leftover
from media_app.storage.s3.errors import RefusedError, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What servers answer that list no uploads; rclone says so where there are none.
_NONE = frozenset({"NotImplemented", "NoSuchUpload"})


class Uploads:
    """The leftovers of one bucket. What begins with ``hidden`` is there for a moment only."""

    def __init__(self, client: S3Client, bucket: str, *, hidden: str) -> None:
        self._client = client
        self._bucket = bucket
        self._hidden = hidden

    def __iter__(self) -> Iterator[Leftover]:
        yield from self._hidden_objects()
        try:
            yield from self._uploads()
        except RefusedError as error:
            if error.code not in _NONE:
                raise

    def remove(self, leftover: Leftover) -> None:
        with s3_errors("remove"):
            if not leftover.id:
                self._client.delete_object(Bucket=self._bucket, Key=leftover.key)
                return
        try:
            with s3_errors("abort"):
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=leftover.key, UploadId=leftover.id
                )
        except RefusedError as error:
            if error.code != "NoSuchUpload":
                raise

    def _hidden_objects(self) -> Iterator[Leftover]:
        with s3_errors("list"):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._hidden
            ):
                for found in page.get("Contents", ()):
                    yield Leftover(
                        key=found["Key"],
                        size=found["Size"],
                        modified=found["LastModified"],
                    )

    def _uploads(self) -> Iterator[Leftover]:
        with s3_errors("list"):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket
            ):
                for upload in page.get("Uploads", ()):
                    yield Leftover(
                        key=upload["Key"],
                        id=upload["UploadId"],
                        modified=upload["Initiated"],
                    )
