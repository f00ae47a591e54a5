"""A load of ready-made HTTP requests over keep-alive connections: one thread, no parsing to speak
of.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_LOCATION = re.compile(
    rb"\r\nlocation:[ \t]*http://127\.0\.0\.1:([0-9]+)([^\r]+)", re.IGNORECASE
)
# Where bodies go: received as any client does, and overwritten by the next.
_BODY = memoryview(bytearray(1024 * 1024))


@dataclass
class Load:
    """What a load got for answers."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    #: The bodies' lengths as they were announced and came.
    lengths: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    length: int
    #: Port and path of a redirect to this machine.
    location: tuple[int, str] | None


class _Connection:
    """One keep-alive connection, and how far its answer has come."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = b""
        self._answer: _Answer | None = None
        self._left = 0

    def receive(self) -> _Answer | None:
        """An answer that has come whole, else None. Raises ConnectionError when the server
        closes.
        """
        if self._answer is None:
            self._receive_head()
        else:
            received = self.sock.recv_into(_BODY, min(self._left, len(_BODY)))
            if not received:
                raise ConnectionError(f"closed {self._left} bytes early")
            self._left -= received
        if self._answer is None or self._left > 0:
            return None
        answer, self._answer, self._head = self._answer, None, b""
        return answer

    def _receive_head(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError(f"closed after {self._head[:200]!r}")
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if end:
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            location = _LOCATION.search(head)
            self._answer = _Answer(
                int(head[9:12]),
                length,
                (int(location[1]), location[2].decode()) if location else None,
            )
            self._left = length - len(body)


class _Client:
    """Asks one thing at a time, and follows redirects; it keeps a connection to each server that it
    has met.
    """

    def __init__(self, selector: selectors.BaseSelector, port: int) -> None:
        self._selector = selector
        self._port = port
        self._connections: dict[int, _Connection] = {}

    def ask(self, request: bytes, port: int | None = None) -> None:
        port = port or self._port
        connection = self._connections.get(port)
        if connection is None:
            connection = self._connections[port] = _Connection(port)
            self._selector.register(
                connection.sock, selectors.EVENT_READ, (self, connection)
            )
        connection.sock.sendall(request)

    def receive(self, connection: _Connection) -> _Answer | None:
        """The last answer of a request, else None."""
        answer = connection.receive()
        if answer is None or answer.location is None:
            return answer
        port, path = answer.location
        self.ask(get(path, {"Host": f"127.0.0.1:{port}"}), port)
        return None

    def close(self) -> None:
        for connection in self._connections.values():
            self._selector.unregister(connection.sock)
            connection.sock.close()


def run(
    port: int, requests: Iterator[bytes], *, connections: int, seconds: float
) -> Load:
    """Send ``requests`` to 127.0.0.1:port, one at a time on each connection, for so long or until
    they end.

    Redirects to this machine are followed. Raises ConnectionError when a server closes a
    connection, TimeoutError when all are silent for half a minute.
    """
    load = Load()
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(connections):
            _Client(selector, port).ask(next(requests))
        while selector.get_map():
            events = selector.select(timeout=30)
            if not events:
                raise TimeoutError(f"{len(selector.get_map())} connections are silent")
            for key, _ in events:
                client: _Client
                connection: _Connection
                client, connection = key.data
                answer = client.receive(connection)
                if answer is None:
                    continue
                load.statuses[answer.status] += 1
                load.lengths[answer.length] += 1
                request = (
                    next(requests, None)
                    if time.perf_counter() - began < seconds
                    else None
                )
                if request is None:
                    client.close()
                else:
                    client.ask(request)
        load.seconds = time.perf_counter() - began
    return load


def get(path: str, headers: dict[str, str]) -> bytes:
    """One GET as bytes."""
    return _head("GET", path, headers) + b"\r\n"


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """One POST as bytes."""
    return (
        _head(
            "POST",
            path,
            {"Host": "127.0.0.1", **headers, "Content-Length": str(len(body))},
        )
        + b"\r\n"
        + body
    )


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, ""]).encode()
