"""Plain sockets between a client and a server: one that counts, one that answers what it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field


@contextmanager
def _listening(serve: _Serve) -> Iterator[int]:
    """A port of 127.0.0.1 whose connections are each served in a thread; all are closed at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=serve.connection, args=(connection,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        _cut(listener)
        acceptor.join()
        for connection in connections:
            _cut(connection)
        for thread in threads:
            thread.join()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


class _Serve:
    def connection(self, connection: socket.socket) -> None:
        raise NotImplementedError


@dataclass
class Counter(_Serve):
    """Forwards to ``port`` and counts the bytes that come back."""

    port: int
    received: int = 0
    connections: int = 0

    def connection(self, connection: socket.socket) -> None:
        self.connections += 1
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            back = threading.Thread(target=self._back, args=(server, connection))
            back.start()
            with suppress(OSError):
                while data := connection.recv(65536):
                    server.sendall(data)
            _cut(server)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self.received += len(data)
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def counting(port: int) -> Iterator[tuple[int, Counter]]:
    counter = Counter(port)
    with _listening(counter) as front:
        yield front, counter


@dataclass
class Told(_Serve):
    """Answers each request with the same bytes, then closes, or holds the connection open."""

    answer: bytes
    hold: bool
    requests: list[bytes] = field(default_factory=list)

    def connection(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            self.requests.append(request)
            connection.sendall(self.answer)
            if self.hold:
                connection.recv(1)


@contextmanager
def answering(status: str, headers: dict[str, str], body: bytes = b"", *, hold: bool = False) -> Iterator[int]:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with _listening(Told("\r\n".join(lines).encode() + body, hold)) as port:
        yield port
