"""A provider's API that answers as it is told: one thing for each request, and then hangs up.

with Receiver(answer(429, {}), silence) as receiver:
    receiver.url          # where to send to
    receiver.requests     # what came
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PACE = 0.02

Behaviour = Callable[[socket.socket], None]


@dataclass(frozen=True, slots=True)
class Received:
    """A request, as soon as the whole of it is there."""

    #: Method and path.
    line: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes


def answer(status: int, content: object = None, *headers: str) -> Behaviour:
    """A JSON answer; bytes go out as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return raw(status, body, f"Content-Length: {len(body)}", *headers)


def raw(status: int, body: bytes, *headers: str) -> Behaviour:
    head = "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "", ""]).encode()
    return lambda sock: sock.sendall(head + body)


def garbage(sock: socket.socket) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def hang_up(sock: socket.socket) -> None:
    """Say nothing."""


def reset(sock: socket.socket) -> None:
    """RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(sock: socket.socket) -> None:
    """Until the other side hangs up."""
    sock.recv(1)


def slowly(behaviour: Behaviour, seconds: float) -> Behaviour:
    def play(sock: socket.socket) -> None:
        time.sleep(seconds)
        behaviour(sock)

    return play


def drip(sock: socket.socket) -> None:
    """An answer whose head never ends: a byte now and then, until the other side hangs up."""
    sock.settimeout(PACE)
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        sock.sendall(b"x")
        with contextlib.suppress(TimeoutError):
            if not sock.recv(1):
                return


class Receiver:
    """The server. It hangs up on what comes after its last behaviour."""

    def __init__(
        self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self._behaviours = list(behaviours)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[Received] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                if self._tls is None:
                    self._play(sock)
                else:
                    with self._tls.wrap_socket(sock, server_side=True) as secure:
                        self._play(secure)

    def _play(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as stream:
            lines = []
            while line := stream.readline().strip().decode("latin-1"):
                lines.append(line)
            if not lines or not lines[0].endswith(" HTTP/1.1"):
                return
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            body = stream.read(int(headers["content-length"]))
        self.requests.append(
            Received(lines[0].removesuffix(" HTTP/1.1"), headers, body)
        )
        if self._behaviours:
            self._behaviours.pop(0)(sock)
