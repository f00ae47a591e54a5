"""Where files are kept, as Django's STORAGES describes it: a bucket or a folder."""

from __future__ import annotations

from typing import Any

from botocore.config import Config

from mediahub import env


def describe_storage(backend: str, *, folder: str) -> dict[str, Any]:
    """``STORAGES["media"]`` for a MEDIA_STORAGE_BACKEND; ``local`` uses ``folder``."""
    if backend == "s3":
        return s3_storage(
            bucket=env.text("AWS_S3_BUCKET"),
            key_id=env.text("AWS_ACCESS_KEY_ID"),
            secret=env.text("AWS_SECRET_ACCESS_KEY"),
            region=env.text("AWS_REGION", "us-east-1"),
            endpoint=env.text("AWS_S3_ENDPOINT_URL") or None,
        )
    if backend == "r2":
        account = env.text("R2_ACCOUNT_ID")
        return s3_storage(
            bucket=env.text("R2_BUCKET"),
            key_id=env.text("R2_ACCESS_KEY_ID"),
            secret=env.text("R2_SECRET_ACCESS_KEY"),
            region="auto",
            endpoint=env.text("R2_ENDPOINT")
            or f"https://{account}.r2.cloudflarestorage.com",
        )
    return {
        "BACKEND": "media_app.storage.disk.DiskStorage",
        "OPTIONS": {"root": folder},
    }


def s3_storage(
    *, bucket: str, key_id: str, secret: str, region: str, endpoint: str | None
) -> dict[str, Any]:
    """A bucket. Without an endpoint it is one of Amazon's."""
    return {
        "BACKEND": "media_app.storage.s3.S3Bucket",
        "OPTIONS": {
            "bucket_name": bucket,
            "access_key": key_id,
            "secret_key": secret,
            "region_name": region,
            "endpoint_url": endpoint,
            "default_acl": None,
            # django-storages ignores its own signature and addressing options beside a
            # client_config.
            "client_config": Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"} if endpoint else {},
                # The default checksum trailers break R2 and other S3 servers.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "total_max_attempts": 2},
                connect_timeout=5,
                # Silence can't be cut by a fetch's deadline: it ends within reach of it.
                read_timeout=15,
                max_pool_connections=288,
            ),
        },
    }
