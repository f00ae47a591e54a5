"""An S3 server that lists any number of objects, of which none exists: keys are computed.

For the real client: ListObjectsV2 page by page, the marker, and what a get of one object answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from media_app.storage.base import MARKER

PAGE = 1000
_NO_UPLOADS = b"<ListMultipartUploadsResult/>"


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects by their numbers, whose keys are in order."""

    total: int
    key: Callable[[int], str]
    #: The object's size; None where there is none with this number.
    size: Callable[[int], int | None]
    number: Callable[[str], int]
    #: The id of the installation that it belongs to.
    marker: str


@contextmanager
def serving(listing: Listing) -> Iterator[str]:
    """The address of a server with this listing in each of its buckets."""

    class Handler(_Handler):
        objects = listing

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: Listing

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        if not key and "uploads" in url.query:
            self._answer(200, _NO_UPLOADS, "application/xml")
        elif not key:
            self._answer(200, self._page(parse_qs(url.query)), "application/xml")
        elif key == MARKER:
            self._answer(200, self.objects.marker.encode(), "text/plain")
        else:
            self._object(key)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _object(self, key: str) -> None:
        size = self.objects.size(self.objects.number(key))
        if size is None:
            error = b"<Error><Code>NoSuchKey</Code></Error>"
            self._answer(404, error, "application/xml")
        else:
            self._answer(200, bytes(size), "image/jpeg")

    def _page(self, query: dict[str, list[str]]) -> bytes:
        listing = self.objects
        prefix = query.get("prefix", [""])[0]
        start = int(query.get("continuation-token", ["0"])[0])
        number, entries = start, list[str]()
        while number < listing.total and len(entries) < PAGE:
            key, size = listing.key(number), listing.size(number)
            number += 1
            if size is not None and key.startswith(prefix):
                entries.append(_entry(key, size))
        more = number < listing.total
        token = f"<NextContinuationToken>{number}</NextContinuationToken>" * more
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"<EncodingType>url</EncodingType>{''.join(entries)}</ListBucketResult>"
        ).encode()

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _entry(key: str, size: int) -> str:
    return (
        f"<Contents><Key>{quote(key)}</Key><Size>{size}</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
    )
