"""A small HTTP/1.1 server: one answer function, a thread for each connection, and a stop that is
felt.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    method: str
    #: Without the query.
    path: str
    query: str
    #: Names in any case.
    headers: Message
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Bytes in all; the length that is announced.
    length: int = 0
    chunks: Iterable[bytes] = ()


def json_response(
    status: int, data: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    body = json.dumps(data).encode()
    return Response(
        status=status,
        headers={"Content-Type": "application/json", **(headers or {})},
        length=len(body),
        chunks=(body,),
    )


class Listener(ThreadingHTTPServer):
    """Serves ``answer`` on 127.0.0.1:port from ``start()`` to ``stop()``."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, answer: Callable[[Request], Response]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever,
            kwargs={"poll_interval": 0.05},
            name=f"listener-{port}",
            daemon=True,
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the door and every open connection: as a process does that dies."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up in the middle is its own affair.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Head and body leave together.
    wbufsize = 64 * 1024

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=address.path,
            query=address.query,
            headers=self.headers,
            body=body,
        )
        response = cast(Listener, self.server).answer(request)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(response.length))
        self.end_headers()
        for chunk in response.chunks:
            self.wfile.write(chunk)

    # The names that http.server looks for.
    do_GET = do_POST = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the provider counts what it answers."""
