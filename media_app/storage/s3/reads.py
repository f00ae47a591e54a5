"""Reading objects by signed links, over the boto3 client's own connections.

What ``get_object`` does around a request, from its parameters to its parsed answer, costs more than
twice as much as the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from botocore.awsrequest import AWSPreparedRequest
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse

from media_app.storage.base import CHUNK, StorageError
from media_app.storage.s3.errors import RefusedError, s3_errors
from media_app.storage.s3.links import Links

if TYPE_CHECKING:
    from botocore.httpsession import URLLib3Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

# Seconds. A link is used for half its life: the rest is for clocks that differ.
LINK_LASTS = 600
LINK_USED_FOR = 300
# More of an error's body than S3 ever sends.
MAX_ERROR = 64 * 1024
# The first chunk is small: a reader gets something early.
FIRST_CHUNK = 16 * 1024

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]+)</Code>")
# Errors that another attempt may not meet, as boto3 sees it.
_TRANSIENT = frozenset({500, 502, 503, 504})
# What S3 answers to a link of another region or clock, or whose credentials are not valid any more.
_REFUSES_LINK = frozenset({301, 307, 400, 403})


class Body(Protocol):
    """What is read from a connection: as it was put, never decoded, whatever its Content-Encoding
    says.
    """

    def read(self, amt: int, /) -> bytes: ...

    def close(self) -> None: ...


class S3Object:
    """A part of an object, arriving."""

    file = None

    def __init__(self, body: Body, *, start: int, stop: int, total: int) -> None:
        self.start = start
        self.stop = stop
        self.total = total
        self._body = body

    def chunks(self) -> Iterator[bytes]:
        left, size = self.stop - self.start, FIRST_CHUNK
        while left:
            with s3_errors("reading"):
                chunk = self._body.read(min(size, left))
            size = CHUNK
            if not chunk:
                raise StorageError(f"the bucket broke off {left} bytes early")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Give the connection back, or drop it when bytes are left on it."""
        self._body.close()


class SignedReads:
    """GET requests to one bucket. Thread-safe, as the client is."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        sign: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        """``sign`` makes a link to the object of a key that lasts LINK_LASTS seconds."""
        self._client = client
        self._bucket = bucket
        # The client's connections have no public name. A pool of our own would need its TLS,
        # proxies, time-outs and size a second time, and would not be closed with the client.
        self._session: URLLib3Session = client._endpoint.http_session  # type: ignore[attr-defined]
        retries = getattr(client.meta.config, "retries", None) or {}
        self._attempts: int = retries.get("total_max_attempts", 2)
        self._links = Links(sign, use_for=LINK_USED_FOR, clock=clock)

    def get(self, key: str, byte_range: str) -> tuple[Mapping[str, str], Body]:
        """The headers of the answer, and its body to come; ``byte_range`` is a Range header, or "".
        Raises RefusedError, StorageError.
        """
        link = self._links.get(key)
        headers = {"Range": byte_range} if byte_range else {}
        try:
            answer = self._get_link(link, headers)
            return answer.headers, answer
        except RefusedError as error:
            if error.status not in _REFUSES_LINK:
                raise
        self._links.forget(key, link)
        return self._get_by_client(key, byte_range)

    def _get_by_client(
        self, key: str, byte_range: str
    ) -> tuple[Mapping[str, str], Body]:
        """boto3 finds its way to another region, allows for a clock that is wrong, and takes new
        credentials.
        """
        request: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": key}
        if byte_range:
            request["Range"] = byte_range
        with s3_errors("get"):
            answer = self._client.get_object(**request)
        headers = CaseInsensitiveDict(answer["ResponseMetadata"]["HTTPHeaders"])
        return headers, answer["Body"]

    def _get_link(self, link: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        left = self._attempts
        while True:
            left -= 1
            try:
                return self._get_link_once(link, headers)
            except StorageError as error:
                if left < 1 or not _is_transient(error):
                    # Without the cause: its text holds the link, which lets in whoever reads it in
                    # a traceback.
                    raise error from None

    def _get_link_once(self, link: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        with s3_errors("get"):
            own: Any = {**headers}
            request = AWSPreparedRequest("GET", link, own, None, stream_output=True)
            answer = self._session.send(request)
            body: BaseHTTPResponse = answer.raw
            if answer.status_code < 300:
                return body
            try:
                explanation = body.read(MAX_ERROR, decode_content=False)
            finally:
                body.close()
        match = _CODE.search(explanation)
        code = match[1].decode() if match else str(answer.status_code)
        raise RefusedError("get", code, answer.status_code)


def _is_transient(error: StorageError) -> bool:
    return not isinstance(error, RefusedError) or error.status in _TRANSIENT
