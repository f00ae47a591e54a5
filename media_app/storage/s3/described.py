"""The bucket that ``STORAGES`` describes."""

from __future__ import annotations

from typing import Any

from storages.backends.s3 import S3Storage as DjangoS3Storage

from media_app.storage.s3.bucket import S3Storage


class S3Bucket(S3Storage):
    """Its options are those of django-storages, which also makes the client."""

    def __init__(self, **options: Any) -> None:
        described = DjangoS3Storage(**options)  # type: ignore[no-untyped-call]
        # A connection belongs to its thread and takes half a second to make; the client in it is
        # thread-safe.
        super().__init__(described.connection.meta.client, described.bucket.name)
