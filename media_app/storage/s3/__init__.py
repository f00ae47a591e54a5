"""Objects in a bucket that speaks S3: AWS, Cloudflare R2 and others."""

from __future__ import annotations

from media_app.storage.s3.bucket import MAX_PUT, S3Storage
from media_app.storage.s3.described import S3Bucket
from media_app.storage.s3.errors import RefusedError

__all__ = ["MAX_PUT", "RefusedError", "S3Bucket", "S3Storage"]
