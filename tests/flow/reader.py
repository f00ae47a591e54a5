"""A reader on one connection that it keeps, to whom nothing is forgiven: every byte on it must be
accounted for.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from email.message import Message
from http.client import parse_headers
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: bytes = b""


class Reader:
    """HTTP/1.1 over a socket to a port of 127.0.0.1. ``buffer`` bytes at most come unread."""

    def __init__(self, port: int, *, buffer: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(60)
        if buffer:
            # Set before it connects: then the server's window is small from the start.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.connect(("127.0.0.1", port))
        self.stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stream.close()
        self._socket.close()

    def ask(
        self, method: str, path: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        """The answer with its body: as long as it says, and none to a HEAD or in a 304, whatever it
        says.
        """
        answer = self.begin(method, path, headers)
        if method == "HEAD" or answer.status == 304:
            return answer
        length = int(answer.headers["Content-Length"])
        return Answer(answer.status, answer.headers, self.stream.read(length))

    def begin(
        self, method: str, path: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        """The answer without its body, which is left in ``stream``."""
        body = "file=none" if method in {"POST", "PUT", "PATCH"} else ""
        told = (*headers, ("Content-Length", str(len(body)))) if body else headers
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in told),
        ]
        self._socket.sendall("\r\n".join([*lines, "", body]).encode())
        version, status, *_ = self.stream.readline().split(b" ", 2)
        assert version == b"HTTP/1.1", version
        return Answer(int(status), parse_headers(self.stream))
