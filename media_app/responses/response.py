"""One file as the answer to one request, as RFC 9110 says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from itertools import chain
from typing import Protocol, TypeVar

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from media_app.responses.conditional import range_applies, unmet
from media_app.responses.disposition import content_disposition
from media_app.responses.ranges import ByteRange, UnsatisfiableError, parse_range
from media_app.storage.base import CHUNK, OpenedObject, StorageError

Response = TypeVar("Response", bound=HttpResponseBase)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """What a client is told of a file."""

    size: int
    content_type: str
    #: Quoted and strong; "" as long as the bytes are not verified.
    etag: str
    last_modified: datetime
    #: What a download is saved as.
    filename: str
    #: Whether a browser may show it: it is of a safe type, and nobody asked for a download.
    is_inline: bool
    #: For how many seconds the client, and no shared cache, may keep it.
    max_age: int

    @property
    def disposition(self) -> str:
        """The value of Content-Disposition."""
        return content_disposition(
            self.filename, attachment=not self.is_inline, otherwise="file"
        )

    @property
    def is_played(self) -> bool:
        """Whether a browser makes a player of it."""
        return self.is_inline and self.content_type.startswith(("video/", "audio/"))

    def headers(self) -> dict[str, str]:
        """What goes with the file however it is sent: nothing in it may run, be guessed at, or be
        kept by others.
        """
        headers = {
            "Content-Type": self.content_type,
            "Content-Disposition": self.disposition,
            "Cache-Control": "no-store",
            **GUARDS,
        }
        if self.etag:
            headers["Cache-Control"] = f"private, max-age={self.max_age}"
            headers["ETag"] = self.etag
            headers["Last-Modified"] = http_date(self.last_modified.timestamp())
        if self.is_played:
            headers["Content-Security-Policy"] = _PLAYER
        return headers


#: Strangers sent the file: it runs nothing, and nobody elsewhere embeds it.
GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A film that is opened by itself is a page that asks for the film again, which a page without an
# origin must not.
_PLAYER = "default-src 'none'; media-src 'self'; sandbox allow-same-origin"


def evaluate(request: HttpRequest, file: File) -> HttpResponseBase | ByteRange | None:
    """The whole answer where it takes no byte of the file: 304, 412, 416, or one to a HEAD.

    Else what to send: one range, or None for all of it. HEAD knows no ranges (§14.2).
    """
    whole = _add_headers(HttpResponse(), file, file.size)
    answer = unmet(request, whole, etag=file.etag, last_modified=file.last_modified)
    if answer is not None:
        return answer
    if request.method == "HEAD":
        return whole
    if not range_applies(
        request.headers.get("If-Range"),
        etag=file.etag,
        last_modified=file.last_modified,
    ):
        return None
    try:
        return parse_range(request.headers.get("Range"), file.size)
    except UnsatisfiableError:
        headers = {
            "Content-Range": f"bytes */{file.size}",
            "Cache-Control": "no-store",
            **GUARDS,
        }
        return HttpResponse(status=416, headers=headers)


def extent(file: File, part: ByteRange | None) -> tuple[int, int]:
    """The first byte to send, and the one after the last."""
    return (part.start, part.stop) if part else (0, file.size)


def send(
    file: File, part: ByteRange | None, opened: OpenedObject
) -> StreamingHttpResponse:
    """200 or 206 with the bytes of what was opened for the part's extent, which is closed with the
    answer.

    Raises StorageError before the answer has begun, also where the object is of another size than
    the file; once it has begun, a failure ends the connection, so that nobody takes half a file for
    a whole one.
    """
    try:
        if opened.total != file.size:
            raise StorageError(
                f"the object is {opened.total} bytes long, not {file.size}"
            )
        response = _Bytes(opened, status=206 if part else 200)
    except BaseException:
        opened.close()
        raise
    if part:
        response["Content-Range"] = part.content_range(file.size)
    return _add_headers(response, file, opened.stop - opened.start)


class Arriving(Protocol):
    """A file that is still coming."""

    def chunks(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


def send_as_it_comes(file: File, arriving: Arriving) -> StreamingHttpResponse:
    """200 with a body that is not yet known to be right: no tag, no ranges, nothing to be kept."""
    response = StreamingHttpResponse(arriving.chunks())
    response._resource_closers.append(arriving.close)  # type: ignore[attr-defined]
    _add_headers(response, file, file.size)
    response["Accept-Ranges"] = "none"
    return response


class _Bytes(StreamingHttpResponse):
    """Bytes of an opened object. A file is left to servers that send files by their descriptor."""

    block_size = CHUNK

    def __init__(self, opened: OpenedObject, *, status: int) -> None:
        self._opened = opened
        #: For Django's WSGI handler.
        self.file_to_stream: _Part | None = None
        chunks = opened.chunks()
        if opened.file is None:
            chunks = _begun(chunks)
        else:
            self.file_to_stream = _Part(opened, opened.file)
        super().__init__(chunks, status=status)

    def close(self) -> None:
        """When the answer is sent or the client is gone. Raises StorageError where less was sent
        than promised.
        """
        # A file that was cut meanwhile ends the kernel's sending without an error.
        file = self._opened.file
        was_cut = (
            file is not None
            and not file.closed
            and os.fstat(file.fileno()).st_size < self._opened.stop
        )
        self._opened.close()
        super().close()
        if was_cut:
            raise StorageError("the file was cut while it was sent")


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, with the first one read: until it is there, the answer can still be a
    503.
    """
    first = next(chunks, b"")
    return chain([first], chunks) if first else chunks


class _Part:
    """A part of a file as ``wsgi.file_wrapper`` of PEP 3333 wants it: sent by its descriptor, or
    else read.
    """

    def __init__(self, opened: OpenedObject, file: FileIO) -> None:
        self._file = file
        self._chunks = opened.chunks()

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int) -> bytes:
        """The next piece, at most CHUNK of it."""
        return next(self._chunks, b"")

    def seek(self, position: int) -> None:
        """It stands where it begins already."""

    def close(self) -> None:
        self._file.close()


def _add_headers(response: Response, file: File, length: int) -> Response:
    for name, value in file.headers().items():
        response[name] = value
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    patch_vary_headers(response, ["Cookie"])
    return response
