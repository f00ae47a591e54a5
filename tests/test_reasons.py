from __future__ import annotations

import errno

import pytest
from botocore import exceptions as s3
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from redis import exceptions as redis

from media_app.reasons import reason
from media_app.storage import RefusedError, StorageError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def disk(number: int) -> Exception:
    return caused(StorageError("the disk: it failed"), OSError(number, "it failed"))


def unreachable(detail: str) -> Exception:
    return caused(
        StorageError("the bucket, put"),
        s3.EndpointConnectionError(endpoint_url="https://b", error=detail),
    )


AT = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '
REASONS = [
    (
        OperationalError(AT + 'FATAL:  password authentication failed for user "hub"'),
        "refused the user or the password",
    ),
    (OperationalError(AT + "fe_sendauth: no password supplied"), "asks for a password"),
    (OperationalError(AT + 'FATAL:  database "hub" does not exist'), "does not exist"),
    (
        OperationalError(AT + 'FATAL:  role "hub" does not exist'),
        "does not know the user",
    ),
    (OperationalError(AT + "Connection refused"), "Nothing listens"),
    (
        OperationalError(
            "failed to resolve host 'db': [Errno -2] Name or service not known"
        ),
        "host in DATABASE_URL",
    ),
    (OperationalError("connection timeout expired"), "did not answer in time"),
    (
        OperationalError(AT + "FATAL:  sorry, too many clients already"),
        "no free connection",
    ),
    (OperationalError("cannot execute INSERT in a read-only transaction"), "read-only"),
    (OperationalError("database or disk is full"), "disk of the database is full"),
    (
        OperationalError('could not extend file "base/1/2": No space left on device'),
        "disk of the database is full",
    ),
    (OperationalError("disk I/O error"), "is full, or does not"),
    (OperationalError("database is locked"), "holds the write lock"),
    (OperationalError("unable to open database file"), "can't be opened"),
    (OperationalError("something new"), "failed with OperationalError"),
    (
        redis.AuthenticationError(
            "invalid username-password pair or user is disabled."
        ),
        "refused the user or the",
    ),
    (redis.AuthenticationError("Authentication required."), "REDIS_URL has none"),
    (
        redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        "Redis is full",
    ),
    (
        redis.ResponseError("MISCONF Errors writing to the AOF file"),
        "can't save to its disk",
    ),
    (redis.ResponseError("DB index is out of range"), "database number"),
    (
        redis.ReadOnlyError("You can't write against a read only replica."),
        "read-only replica",
    ),
    (redis.NoPermissionError("this user has no permissions"), "may not write to Redis"),
    (redis.BusyLoadingError("Redis is loading the dataset"), "still loading"),
    (redis.ConnectionError("Connection closed by server."), "connection to Redis"),
    (redis.TimeoutError("Timeout reading from socket"), "did not answer in time"),
    (
        redis.ConnectionError(
            "Error 111 connecting to 10.0.0.5:6379. Connection refused."
        ),
        "Nothing listens",
    ),
    (
        redis.ConnectionError(
            "Error -2 connecting to cache:6379. Name or service not known."
        ),
        "host in REDIS_URL",
    ),
    (RefusedError("put", "NoSuchBucket", 404), "The bucket does not exist."),
    (RefusedError("put", "SignatureDoesNotMatch", 403), "secret access key"),
    (RefusedError("put", "InvalidAccessKeyId", 403), "access key id"),
    (RefusedError("put", "AccessDenied", 403), "may not write"),
    (RefusedError("put", "TokenRefused", 401), "refused the access key"),
    (RefusedError("put", "Forbidden", 403), "refused the access key"),
    (RefusedError("put", "SlowDown", 503), "answered SlowDown (503)"),
    (
        unreachable("Failed to resolve 'b' ([Errno -2] Name or service not known)"),
        "endpoint is not known",
    ),
    (
        unreachable("[Errno 111] Connection refused"),
        "Nothing listens at the bucket's endpoint",
    ),
    (
        caused(StorageError("put"), s3.ReadTimeoutError(endpoint_url="https://b")),
        "did not answer in time",
    ),
    (caused(StorageError("put"), s3.NoCredentialsError()), "access key is not set"),
    (caused(StorageError("put"), s3.ParamValidationError(report="")), "bucket's name"),
    (
        caused(StorageError("put"), s3.SSLError(endpoint_url="", error=OSError())),
        "certificate",
    ),
    (disk(errno.ENOSPC), "disk of the media folder is full"),
    (disk(errno.EROFS), "read-only"),
    (disk(errno.EACCES), "may not write to the media folder"),
    (disk(errno.EIO), "The media folder failed: it failed."),
    (StorageError("the media folder is missing"), "media folder is missing"),
    (ImproperlyConfigured("R2_BUCKET is not set."), "R2_BUCKET is not set."),
    (KeyError("x"), "KeyError"),
]


@pytest.mark.parametrize(
    ("error", "meaning"), REASONS, ids=[meaning for _, meaning in REASONS]
)
def test_each_failure_has_a_sentence_of_its_own_without_addresses(
    error: Exception, meaning: str
) -> None:
    sentence = reason(error)
    assert meaning in sentence
    assert (
        sentence.endswith(".")
        and "10.0.0.5" not in sentence
        and "https://b" not in sentence
    )
