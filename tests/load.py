"""A load of ready-made HTTP requests over keep-alive connections: one thread, no parsing to speak of."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)


@dataclass
class Load:
    """What a load got for answers."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds


@dataclass
class _Connection:
    sock: socket.socket
    received: bytes = b""


def run(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Load:
    """Post ``requests`` to 127.0.0.1:port, one at a time on each connection, for so long or until they end.

    Raises ConnectionError when the server closes a connection.
    """
    load = Load()
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(connections):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(sock, selectors.EVENT_READ, _Connection(sock))
            sock.sendall(next(requests))
        while selector.get_map():
            for key, _ in selector.select(timeout=30):
                connection: _Connection = key.data
                status = _receive(connection)
                if status is None:
                    continue
                load.statuses[status] += 1
                request = next(requests, None) if time.perf_counter() - began < seconds else None
                if request is None:
                    selector.unregister(connection.sock)
                    connection.sock.close()
                else:
                    connection.sock.sendall(request)
        load.seconds = time.perf_counter() - began
    return load


def _receive(connection: _Connection) -> int | None:
    """The status of an answer that has come whole, else None."""
    data = connection.sock.recv(65536)
    if not data:
        raise ConnectionError(f"closed after {connection.received[:200]!r}")
    connection.received += data
    head, end, body = connection.received.partition(b"\r\n\r\n")
    if not end:
        return None
    length = _LENGTH.search(head)
    if len(body) < (int(length[1]) if length else 0):
        return None
    connection.received = b""
    return int(head[9:12])


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """One POST as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
