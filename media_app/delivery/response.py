"""Bytes from a storage as an HTTP answer."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from media_app.delivery.ranges import ByteRange, UnsatisfiableError, parse_range
from media_app.storage.base import OpenedObject, StorageError

#: Opens the bytes from the first number up to but without the second; None where there is no such object.
Opener = Callable[[int, int], OpenedObject | None]


def respond(
    *, method: str, range_header: str | None, total: int, content_type: str, open_bytes: Opener
) -> HttpResponseBase | None:
    """200, 206 or 416 for a file of ``total`` bytes; None when the storage lacks it.

    HEAD gets the headers of the whole and nothing is opened (RFC 9110 §14.2 defines
    Range for GET alone). Raises StorageError, also when the storage's object is not of ``total`` bytes:
    an answer must not promise more than it brings.
    """
    if method == "HEAD":
        return _headers(HttpResponse(content_type=content_type), total)
    try:
        wanted = parse_range(range_header, total)
    except UnsatisfiableError:
        response = HttpResponse(status=416)
        response["Content-Range"] = f"bytes */{total}"
        response["Cache-Control"] = "no-store"
        return response
    part = wanted or ByteRange(0, total)
    try:
        opened = open_bytes(part.start, part.stop)
    except ValueError as error:
        raise StorageError(f"the object ends before byte {part.start} of {total}") from error
    if opened is None:
        return None
    if opened.total != total:
        opened.close()
        raise StorageError(f"the object is {opened.total} bytes long, not {total}")
    streaming = StreamingHttpResponse(opened.chunks(), status=206 if wanted else 200, content_type=content_type)
    # Django closes these when the answer is sent or the client is gone.
    streaming._resource_closers.append(opened.close)  # type: ignore[attr-defined]
    if wanted:
        streaming["Content-Range"] = wanted.content_range(total)
    return _headers(streaming, part.stop - part.start)


def _headers(response: HttpResponseBase, length: int) -> HttpResponseBase:
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    return response
