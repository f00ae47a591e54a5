"""Why the database, the queue or the storage does not work, in one sentence for the operator.

The errors' own texts stay out: they name addresses, and an address may hold a password.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from botocore import exceptions as s3
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from redis import exceptions as redis

from media_app.storage import RefusedError, StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = re.compile("connection refused|actively refused", re.IGNORECASE)
_UNKNOWN_HOST = re.compile(
    "name or service not known|failed to resolve|could not translate host|nodename nor "
    "servname|name resolution",
    re.IGNORECASE,
)

# What an error of the database says, and what that means. The first that fits counts.
_DATABASE = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (
            "password authentication failed",
            "The database refused the user or the password in DATABASE_URL.",
        ),
        (
            "no password supplied",
            "The database asks for a password, and DATABASE_URL has none.",
        ),
        (
            r"pg_hba\.conf",
            "The database does not accept this host or user (pg_hba.conf).",
        ),
        (
            r'role "[^"]*" does not exist',
            "The database does not know the user in DATABASE_URL.",
        ),
        (
            r'database "[^"]*" does not exist',
            "The database that DATABASE_URL names does not exist.",
        ),
        (
            r'relation "[^"]*" does not exist|no such table',
            "A table is missing: run `python manage.py migrate`.",
        ),
        (_REFUSED.pattern, "Nothing listens at the host and port of DATABASE_URL."),
        (_UNKNOWN_HOST.pattern, "The host in DATABASE_URL is not known."),
        (
            "timeout expired|timed out|couldn't get a connection",
            "The database did not answer in time.",
        ),
        (
            "too many clients|remaining connection slots",
            "The database has no free connection.",
        ),
        (
            "starting up|shutting down|recovery mode",
            "The database is starting or stopping.",
        ),
        ("read-?only", "The database takes no writes: it is read-only."),
        (
            "disk is full|no space left|could not extend file",
            "The disk of the database is full.",
        ),
        ("database is locked", "Another program holds the write lock of the database."),
        (
            "unable to open database file",
            "The database file can't be opened: look at its folder and its permissions.",
        ),
        (
            "not a database|malformed",
            "The database file is damaged or is no SQLite database.",
        ),
        (
            "disk i/o error",
            "The disk of the database is full, or does not read or write.",
        ),
        (
            "permission denied",
            "The user in DATABASE_URL may not write to the hub's tables.",
        ),
        (
            "statement timeout|lock timeout",
            "The database was too slow, or a table is locked.",
        ),
        (
            "server closed the connection|connection is lost|terminating connection",
            "The database went away.",
        ),
    )
)

# By the code of the bucket's answer.
_BUCKET = {
    "NoSuchBucket": "The bucket does not exist.",
    "InvalidAccessKeyId": "The bucket's server does not know the access key id.",
    "SignatureDoesNotMatch": "The secret access key of the bucket is wrong.",
    "AccessDenied": "The access key may not write to the bucket.",
    "RequestTimeTooSkewed": "The clock of this machine is wrong: the bucket refuses its "
    "signatures.",
    "AuthorizationHeaderMalformed": "The bucket lies in another region than configured.",
    "PermanentRedirect": "The bucket lies in another region than configured.",
    "XMinioStorageFull": "The bucket's server is full.",
    "QuotaExceeded": "The bucket is full.",
    "InvalidBucketName": "The bucket's name is not a valid one.",
}


def reason(error: BaseException) -> str:
    """One sentence; for an error that is not known here, one with its class."""
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    if isinstance(error, DatabaseError):
        return _of_database(error)
    if isinstance(error, redis.RedisError):
        return _of_redis(error)
    if isinstance(error, StorageError):
        return _of_storage(error)
    return f"It failed with {type(error).__name__}; the log may say more."


def _of_database(error: DatabaseError) -> str:
    text = str(error)
    for pattern, meaning in _DATABASE:
        if pattern.search(text):
            return meaning
    return f"The database failed with {type(error.__cause__ or error).__name__}."


def _of_redis(error: redis.RedisError) -> str:
    text = str(error)
    if isinstance(error, redis.OutOfMemoryError):
        return "Redis is full (maxmemory): it takes no jobs."
    if "NOAUTH" in text or "Authentication required" in text:
        return "Redis asks for a password, and REDIS_URL has none."
    if isinstance(error, redis.AuthenticationError):
        return "Redis refused the user or the password in REDIS_URL."
    if isinstance(error, redis.AuthorizationError | redis.NoPermissionError):
        return "The user in REDIS_URL may not write to Redis."
    if isinstance(error, redis.ReadOnlyError):
        return "Redis takes no writes: it is a read-only replica."
    if isinstance(error, redis.BusyLoadingError):
        return "Redis is still loading its data."
    if "MISCONF" in text:
        return "Redis takes no writes, because it can't save to its disk."
    if "DB index" in text:
        return "The database number in REDIS_URL does not exist."
    if isinstance(error, redis.TimeoutError):
        return "Redis did not answer in time."
    if _REFUSED.search(text):
        return "Nothing listens at the host and port of REDIS_URL."
    if _UNKNOWN_HOST.search(text):
        return "The host in REDIS_URL is not known."
    if isinstance(error, redis.ConnectionError):
        return "The connection to Redis failed."
    return f"Redis failed with {type(error).__name__}."


def _of_storage(error: StorageError) -> str:
    for cause in _causes(error):
        if isinstance(cause, RefusedError):
            return _of_bucket(cause)
        if isinstance(cause, s3.NoCredentialsError | s3.PartialCredentialsError):
            return "The bucket's access key is not set."
        if isinstance(cause, s3.ParamValidationError):
            return "The bucket's name is missing or not a valid one."
        if isinstance(cause, s3.ConnectTimeoutError | s3.ReadTimeoutError):
            return "The bucket's server did not answer in time."
        if isinstance(cause, s3.SSLError):
            return "The certificate of the bucket's server is not trusted, or it speaks no TLS."
        if isinstance(cause, s3.EndpointConnectionError):
            detail = str(cause.kwargs.get("error", ""))
            return (
                "The host of the bucket's endpoint is not known."
                if _UNKNOWN_HOST.search(detail)
                else ("Nothing listens at the bucket's endpoint.")
            )
        if isinstance(cause, OSError):
            return _of_disk(cause)
    return f"The storage failed: {error}."


def _of_bucket(error: RefusedError) -> str:
    if (meaning := _BUCKET.get(error.code)) is not None:
        return meaning
    if error.status in {401, 403}:
        return f"The bucket refused the access key ({error.code})."
    return f"The bucket's server answered {error.code} ({error.status})."


def _of_disk(error: OSError) -> str:
    if error.errno in _FULL:
        return "The disk of the media folder is full."
    if error.errno == errno.EROFS:
        return "The disk of the media folder is read-only."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "The hub may not write to the media folder."
    return f"The media folder failed: {error.strerror or type(error).__name__}."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
