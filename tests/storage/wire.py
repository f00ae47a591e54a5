"""Plain sockets between a client and a server: one that counts, one that answers what it is
told.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from media_app.storage import S3Storage
from tests.storage.buckets import connect


@contextmanager
def _listening(serve: _Serve) -> Iterator[int]:
    """A port of 127.0.0.1 whose connections are each served in a thread; all are closed at the
    end.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(
                    threading.Thread(target=serve.connection, args=(connection,))
                )
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


def response(status: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


@dataclass
class Told(_Serve):
    """Answers one request on each connection: the first with the first answer, all others with the
    last.

    Then it closes, or waits until the client does.
    """

    answers: list[bytes]
    hold: bool
    tls: ssl.SSLContext | None
    #: The requests up to their empty line, as they came.
    asked: list[bytes] = field(default_factory=list)
    #: One to take for each held connection that its client has left.
    left: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def connection(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self.tls:
                with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                    self._answer(wrapped)
                    # Past the encryption: the client finds a broken record.
                    os.write(wrapped.fileno(), b"not TLS at all")
                    wrapped.recv(1)
            with closing(connection):
                self._answer(connection)
                if self.hold and not connection.recv(1):
                    self.left.release()

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        self.asked.append(request)
        connection.sendall(
            self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        )


@contextmanager
def answering(
    *answers: bytes, hold: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, Told]]:
    told = Told([*answers], hold, tls)
    with _listening(told) as port:
        yield port, told


@contextmanager
def served(
    *answers: bytes,
    hold: bool = False,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Iterator[tuple[S3Storage, Told]]:
    """A bucket whose server answers so; ``options`` are those of ``connect``."""
    with (
        answering(*answers, hold=hold, tls=tls) as (port, told),
        connect(port, "media", **options) as storage,
    ):
        yield storage, told
