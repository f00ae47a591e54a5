"""What can go wrong between us and a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from media_app.storage.base import StorageError


class RefusedError(StorageError):
    """The server answered, and refused."""

    def __init__(self, doing: str, code: str, status: int) -> None:
        super().__init__(f"the bucket, {doing}: {code} ({status})")
        self.code = code
        self.status = status


@contextmanager
def s3_errors(doing: str) -> Iterator[None]:
    """Raise all errors as StorageError. Their own texts name addresses and keys, and are left
    out.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "no reason given")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise RefusedError(doing, code, status) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise StorageError(f"the bucket, {doing}: {type(error).__name__}") from error
