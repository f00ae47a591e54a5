"""A request to the hostile provider, and the means to answer it badly."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sources.hostile import HostileProvider

BODY = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 16
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
#: The credentials of both vendors: nobody else may ever see them.
SECRET = "hush-hush"
PACE = 0.02


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    path: str
    #: Names in lower case.
    headers: dict[str, str]
    #: Which connection it came over; kept-alive ones carry several.
    connection: int


class Call:
    """One request, and the means to answer it badly."""

    def __init__(
        self, provider: HostileProvider, sock: socket.socket, request: Request
    ) -> None:
        self.provider = provider
        self.sock = sock
        self.request = request
        self.keeps_alive = False

    @property
    def body(self) -> bytes:
        return self.provider.body

    @property
    def half(self) -> bytes:
        return self.body[: len(self.body) // 2]

    @property
    def length(self) -> str:
        """The header that announces the whole body."""
        return f"Content-Length: {len(self.body)}"

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(
        self,
        status: int = 200,
        *headers: str,
        content_type: str = "image/jpeg",
        then: bytes = b"",
    ) -> None:
        """The beginning of an answer, and as much of a body."""
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}"]
        self.send("\r\n".join([*lines, *headers, "", ""]).encode() + then)

    def answer(
        self,
        status: int,
        body: bytes = b"",
        *headers: str,
        content_type: str = "image/jpeg",
    ) -> None:
        """A proper answer; the connection lives on."""
        length = f"Content-Length: {len(body)}"
        self.head(status, length, *headers, content_type=content_type, then=body)
        self.keeps_alive = True

    def json(self, status: int, content: object, *headers: str) -> None:
        self.answer(
            status,
            json.dumps(content).encode(),
            *headers,
            content_type="application/json",
        )

    def graph_error(
        self, status: int, code: int, subcode: int = 0, *headers: str
    ) -> None:
        # Graph really quotes tokens in its messages.
        error = {
            "message": f"Malformed access token {SECRET}",
            "code": code,
            "error_subcode": subcode,
        }
        self.json(status, {"error": error}, *headers)

    def html(self) -> None:
        page = b"<!doctype html><title>Sorry</title>"
        self.answer(200, page, content_type="text/html")

    def redirect(self, url: str, status: int = 302) -> None:
        self.answer(status, b"elsewhere", f"Location: {url}")

    def drip(self, data: bytes, *, after: bytes = b"") -> None:
        """One byte after the other, until the other side has enough or the provider stops."""
        self.send(after)
        for byte in data:
            if self.provider.stopping.wait(PACE):
                return
            self.send(bytes([byte]))

    def flood(self) -> None:
        """Chunks of zeros, until the other side has enough or the provider stops."""
        while not self.provider.stopping.is_set():
            self.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def stay_silent(self) -> None:
        """Say nothing until the other side hangs up."""
        with contextlib.suppress(OSError):
            self.sock.recv(1)

    def wait_for_more(self) -> None:
        """Wait until the next request comes, or the other side hangs up."""
        with contextlib.suppress(OSError):
            self.sock.recv(1, socket.MSG_PEEK)

    def reset(self) -> None:
        """RST instead of FIN."""
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
