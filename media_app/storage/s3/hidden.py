"""Objects of a bucket that no listing of it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace as replaced
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from media_app.storage.base import StoredObject, check_prefix
from media_app.storage.s3.bucket import S3Storage
from media_app.storage.s3.errors import s3_errors
from media_app.storage.s3.reads import LINK_LASTS, S3Object, SignedReads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef


class HiddenObjects(S3Storage):
    """What lies below a hidden prefix, as a storage of its own. It has no marker."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        """``prefix`` begins as the marker does, and ends in ``/``."""
        super().__init__(client, bucket)
        self.prefix = prefix
        sign = partial(super().url, seconds=LINK_LASTS)
        self._reads = SignedReads(client, bucket, sign=sign, clock=monotonic)

    def clear(self) -> None:
        """Remove all of it. Raises DeleteError, StorageError."""
        self.delete([found.key for found in self.list("")])

    def open_range(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> S3Object | None:
        return super().open_range(self.prefix + key, start, stop)

    def url(
        self, key: str, seconds: int, *, content_type: str = "", disposition: str = ""
    ) -> str:
        name = self.prefix + key
        return super().url(
            name, seconds, content_type=content_type, disposition=disposition
        )

    def head(self, key: str) -> StoredObject | None:
        found = super().head(self.prefix + key)
        return found and replaced(found, key=key)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        check_prefix(prefix)
        with s3_errors("list"):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            ):
                for found in page.get("Contents", ()):
                    yield StoredObject(
                        key=found["Key"].removeprefix(self.prefix),
                        size=found["Size"],
                        modified=found["LastModified"],
                    )

    def delete(self, keys: Iterable[str]) -> None:
        super().delete(self.prefix + key for key in keys)

    def marker(self) -> None:
        return None

    def _put(self, request: PutObjectRequestTypeDef, *, replace: bool) -> None:
        request["Key"] = self.prefix + request["Key"]
        super()._put(request, replace=replace)
