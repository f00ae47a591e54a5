"""Between a client and its HTTP server: a proxy that fails as it is told to."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import Self

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})


def _reset(sock: socket.socket) -> None:
    """RST instead of FIN, and wake whoever reads."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)
    sock.close()


def _without_answer(data: bytes) -> tuple[bytes, bytes]:
    """ "100 Continue", which only asks for the body, and the answer: they may come in one piece."""
    if not data.startswith(b"HTTP/1.1 100 "):
        return b"", data
    head, end, answer = data.partition(b"\r\n\r\n")
    return head + end, answer


class FaultProxy:
    """Forwards to a port of 127.0.0.1; ``fault`` and ``methods`` may change at any time.

    ``fault`` is "" (none), a status to answer with, "reset" (at the request), or "lost answer" (the
    server does what it was asked, and nobody hears of it). ``at_bytes`` calls a function when a
    request's body has come that far. ``pause`` is the seconds after each piece of 64 KB, either
    way.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.fault = ""
        self.methods: Collection[str] = METHODS
        self.at_bytes: tuple[int, Callable[[], object]] | None = None
        self.pause = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Small, and so fixed: else the kernel takes in megabytes that a slow reader has not read.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self._start(_Connection(self, client).serve)


class _Connection:
    def __init__(self, proxy: FaultProxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.loses_answers = False
        self.sent = 0

    def serve(self) -> None:
        upstream = ("127.0.0.1", self.proxy.upstream)
        with (
            suppress(OSError),
            self.client,
            socket.create_connection(upstream) as server,
        ):
            back = threading.Thread(target=self._back, args=(server,), daemon=True)
            back.start()
            with suppress(OSError):
                while (data := self.client.recv(65536)) and self._passes(data):
                    server.sendall(data)
                    self._count(len(data))
                    time.sleep(self.proxy.pause)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _passes(self, data: bytes) -> bool:
        """Whether to forward this; plays the fault where a request begins."""
        method = data.partition(b" ")[0].decode("latin-1")
        if method not in METHODS:
            return True
        self.sent = 0
        fault = self.proxy.fault if method in self.proxy.methods else ""
        self.loses_answers = fault == "lost answer"
        if fault == "reset":
            _reset(self.client)
            return False
        if fault.isdigit():
            self.client.sendall(
                f"HTTP/1.1 {fault} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            return False
        return True

    def _count(self, size: int) -> None:
        self.sent += size
        if self.proxy.at_bytes and self.sent >= self.proxy.at_bytes[0]:
            (_, step), self.proxy.at_bytes = self.proxy.at_bytes, None
            step()

    def _back(self, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                answer = b""
                if self.loses_answers:
                    data, answer = _without_answer(data)
                self.client.sendall(data)
                if answer:
                    _reset(self.client)
                    return
                time.sleep(self.proxy.pause)
        with suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)
