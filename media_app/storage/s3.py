"""Objects in a bucket that speaks S3: AWS, Cloudflare R2 and others.

One client for all threads. A put is one request whatever its size; a read asks for
its range and nothing more.

Reads go by signed links over the client's own connections: what ``get_object`` does around
a request, from its parameters to its parsed answer, costs more than twice as much as the request.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from io import BytesIO
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, Protocol
from uuid import uuid4

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError, ClientError
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from media_app.storage.base import (
    CHUNK,
    MARKER,
    MAX_MARKER,
    DeleteError,
    ObjectExistsError,
    Storage,
    StorageError,
    StoredObject,
    check_prefix,
    check_put,
    check_range,
)
from media_app.storage.links import Links

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
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

# Seconds. A link is asked with for half its life: the rest is for clocks that differ.
LINK_LASTS = 600
LINK_USED_FOR = 300

# Objects of a moment, which no listing has. Keys of their own: R2 takes one put a second under the
# same one.
_PROBES = f"{MARKER}-probe/"
# More of an error's body than S3 ever sends.
MAX_ERROR = 64 * 1024
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]+)</Code>")
# A reader sees something before the first whole chunk has come.
FIRST_CHUNK = 16 * 1024

# What may have passed a moment later, as boto3 sees it.
_PASSING = frozenset({500, 502, 503, 504})
# What S3 answers to a link of another region or clock, or whose credentials are not valid any more.
_NOT_BY_LINK = frozenset({301, 307, 400, 403})

# RFC 9110 §14.4, with the whole size known.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


class _Body(Protocol):
    """What is read from a connection: as it was put, never decoded, whatever its Content-Encoding
    says.
    """

    def read(self, amt: int, /) -> bytes: ...

    def close(self) -> None: ...


class S3Object:
    """A part of an object, arriving."""

    file = None

    def __init__(self, body: _Body, *, start: int, stop: int, total: int) -> None:
        self.start = start
        self.stop = stop
        self.total = total
        self._body = body

    def chunks(self) -> Iterator[bytes]:
        left, most = self.stop - self.start, FIRST_CHUNK
        while left:
            with _s3_errors("reading"):
                chunk = self._body.read(min(most, left))
            most = CHUNK
            if not chunk:
                raise StorageError(f"the bucket broke off {left} bytes early")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Give the connection back, or drop it when bytes are left on it."""
        self._body.close()


class S3Storage(Storage):
    """A bucket. The client is a boto3 one, used by all threads."""

    def __init__(
        self, client: S3Client, bucket: str, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self.client = client
        self.bucket = bucket
        # The client's connections have no public name. A pool of our own would need its TLS,
        # proxies, time-outs and size a second time, and would not be closed with the client.
        self._session: URLLib3Session = client._endpoint.http_session  # type: ignore[attr-defined]
        self._attempts: int = (getattr(client.meta.config, "retries", None) or {}).get(
            "total_max_attempts", 2
        )
        self._links = Links(
            partial(self.url, seconds=LINK_LASTS), use_for=LINK_USED_FOR, clock=clock
        )
        client.meta.events.register(
            "before-sign.s3.DeleteObjects", _add_md5, unique_id="mediahub-delete-md5"
        )
        client.meta.events.register(
            "before-parameter-build.s3.GetObject",
            _in_region,
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
            with _s3_errors("put"):
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
            with _s3_errors("copy"):
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
            headers, body = self._read(key, _byte_range(start, stop))
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
            stop, total = _extent(headers, start, stop)
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
        with _s3_errors("get"):
            return self.client.generate_presigned_url(
                "get_object", Params=request, ExpiresIn=seconds
            )

    def head(self, key: str) -> StoredObject | None:
        try:
            with _s3_errors("head"):
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
        with _s3_errors("list"):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for found in page.get("Contents", ()):
                    if found["Key"] == MARKER or found["Key"].startswith(_PROBES):
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
            with _s3_errors("delete"):
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

    def marker(self) -> str | None:
        answer = self._get(MARKER)
        if answer is None:
            return None
        with closing(answer["Body"]) as body, _s3_errors("get"):
            return body.read(MAX_MARKER).decode("utf-8", "replace").strip()

    def mark(self, text: str, *, replace: bool = False) -> None:
        request: PutObjectRequestTypeDef = {
            "Bucket": self.bucket,
            "Key": MARKER,
            "Body": f"{text}\n".encode(),
            "ContentType": "text/plain",
        }
        self._put(request, replace=replace)

    def _read(self, key: str, byte_range: str) -> tuple[Mapping[str, str], _Body]:
        """The headers of the answer to a GET, and its body to come. Raises RefusedError,
        StorageError.
        """
        link = self._links.get(key)
        try:
            answer = self._ask(link, {"Range": byte_range} if byte_range else {})
        except RefusedError as error:
            if error.status not in _NOT_BY_LINK:
                raise
        else:
            return answer.headers, answer
        # boto3 finds its way to another region, allows for a clock that is wrong, and takes new
        # credentials.
        self._links.forget(key, link)
        request: GetObjectRequestTypeDef = {"Bucket": self.bucket, "Key": key}
        if byte_range:
            request["Range"] = byte_range
        with _s3_errors("get"):
            found = self.client.get_object(**request)
        return CaseInsensitiveDict(found["ResponseMetadata"]["HTTPHeaders"]), found[
            "Body"
        ]

    def _ask(self, link: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        left = self._attempts
        while True:
            left -= 1
            try:
                return self._ask_once(link, headers)
            except StorageError as error:
                passing = (
                    not isinstance(error, RefusedError) or error.status in _PASSING
                )
                if left < 1 or not passing:
                    # Without the cause: its text holds the link, which lets in whoever reads it in
                    # a traceback.
                    raise error from None

    def _ask_once(self, link: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        with _s3_errors("get"):
            plain = {**headers}
            request = AWSPreparedRequest("GET", link, plain, None, True)  # type: ignore[arg-type]
            answer = self._session.send(request)
            body: BaseHTTPResponse = answer.raw
            if answer.status_code < 300:
                return body
            try:
                explanation = body.read(MAX_ERROR, decode_content=False)
            finally:
                body.close()
        code = _CODE.search(explanation)
        raise RefusedError(
            "get",
            code[1].decode() if code else str(answer.status_code),
            answer.status_code,
        )

    def _get(self, key: str) -> GetObjectOutputTypeDef | None:
        try:
            with _s3_errors("get"):
                return self.client.get_object(Bucket=self.bucket, Key=key)
        except RefusedError as error:
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
    """All that can go wrong, as StorageError. The causes' own texts name addresses and keys: they
    stay out.
    """
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


def _extent(
    headers: Mapping[str, str], start: int, stop: int | None
) -> tuple[int, int]:
    """Where the answered part stops, and the whole size.

    The status says nothing: rclone answers a range with 200. Raises StorageError when the
    body is not the part that was asked for.
    """
    if content_range := headers.get("Content-Range"):
        match = _CONTENT_RANGE.fullmatch(content_range)
        if match is None:
            raise StorageError(
                f"the bucket answered a range that cannot be read: {content_range!r}"
            )
        first, last, total = (int(number) for number in match.groups())
        stop = total if stop is None else min(stop, total)
        if first != start or last + 1 < stop:
            raise StorageError(
                f"the bucket answered another range than asked: {content_range!r}"
            )
        return stop, total
    if start:
        raise StorageError("the bucket answered the whole object to a range")
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()):
        raise StorageError("the bucket did not say how large the object is")
    total = int(length)
    return total if stop is None else min(stop, total), total


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


def _in_region(context: dict[str, object], **kwargs: object) -> None:
    """Links lead where requests do. boto3 signs them for AWS's global address: a new bucket of
    another region than us-east-1 answers a redirect there, for hours.
    """
    context["use_global_endpoint"] = False


def _add_md5(request: AWSRequest, **kwargs: object) -> None:
    """Content-MD5 beside boto3's CRC32: servers older than that checksum want it for a
    DeleteObjects.
    """
    if "Content-MD5" not in request.headers:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = b64encode(digest).decode()
