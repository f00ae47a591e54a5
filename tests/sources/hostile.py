"""A provider at its worst: one raw-socket server that speaks HTTP as badly as it is told to.

    with HostileProvider(body=photo) as provider:
        provider.url("drip-body")          # a link to the file that behaves so
        provider.twilio_url("photo")       # Twilio's API: redirects to url("photo")
        provider.base                      # Graph API: media id "photo" resolves to url("photo")
        provider.received("/link/photo")   # the requests that came for this path

A behaviour whose name starts with ``api-`` is played by the API itself, any other by
the link that the API leads to.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import socket
import ssl
import threading
from types import TracebackType
from typing import BinaryIO, Self

from tests.sources.behaviours import BEHAVIOURS, unknown
from tests.sources.calls import ACCOUNT, BODY, Call, Request


class HostileProvider:
    """The server.

    ``target`` is where redirects lead; ``links`` the base of the links that the APIs
    hand out (its own by default); ``refused`` holds Authorization headers that the APIs
    answer with 401; ``facts`` overrides what the Graph API says of a file.
    """

    def __init__(
        self, body: bytes = BODY, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.body = body
        self.tls = tls
        self.target: str = ""
        self.refused: set[str] = set()
        self.facts: dict[str, object] = {}
        self.stopping = threading.Event()
        self._requests: list[Request] = []
        self._open: dict[int, socket.socket] = {}
        self._news = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listening = threading.Thread(target=self._accept, daemon=True)
        self._serving: list[threading.Thread] = []
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.base = f"{'https' if tls else 'http'}://{self.host}"
        self.links = self.base
        #: How many connections were made.
        self.connections = 0

    def url(self, name: str) -> str:
        return f"{self.base}/link/{name}"

    def twilio_url(self, name: str, account: str = ACCOUNT) -> str:
        return f"{self.base}/2010-04-01/Accounts/{account}/Messages/MM01/Media/{name}"

    def received(self, path: str = "") -> list[Request]:
        """The requests so far whose path ends so, in order."""
        with self._news:
            return [
                request for request in self._requests if request.path.endswith(path)
            ]

    def wait_received(self, path: str, seconds: float = 60.0) -> Request:
        """The first request for a path that ends so, as soon as it comes."""
        with self._news:
            assert self._news.wait_for(
                lambda: any(each.path.endswith(path) for each in self._requests),
                seconds,
            )
        return self.received(path)[0]

    def wait_connected(self, seconds: float = 60.0) -> bool:
        """Whether somebody connects within so long."""
        with self._news:
            return self._news.wait_for(lambda: self.connections > 0, seconds)

    def wait_hung_up(self, request: Request, seconds: float = 60.0) -> bool:
        """Whether the connection of this request ends within so long."""
        with self._news:
            return self._news.wait_for(
                lambda: request.connection not in self._open, seconds
            )

    def __enter__(self) -> Self:
        self._listening.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listening.join()
        self._listener.close()
        with self._news:
            for sock in self._open.values():
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own, which takes the TLS state away from the thread that uses
                    # it.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._serving:
            thread.join()

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                sock = self.tls.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
            with self._news:
                self._open[number] = sock
                self.connections += 1
                self._news.notify_all()
            thread = threading.Thread(
                target=self._serve, args=(sock, number), daemon=True
            )
            self._serving.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as stream:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            while not self.stopping.is_set() and (
                request := _read_request(stream, number)
            ):
                with self._news:
                    self._requests.append(request)
                    self._news.notify_all()
                call = Call(self, sock, request)
                self._play(call)
                if not call.keeps_alive:
                    break
        with self._news:
            del self._open[number]
            self._news.notify_all()

    def _play(self, call: Call) -> None:
        folder, _, name = call.request.path.rpartition("/")
        if folder == "/link":
            BEHAVIOURS.get(name, unknown)(call)
        elif call.request.headers.get("authorization") in self.refused:
            call.graph_error(401, 190)
        elif name.startswith("api-"):
            BEHAVIOURS.get(name, unknown)(call)
        elif folder.startswith("/2010-04-01/"):
            call.redirect(f"{self.links}/link/{name}", 307)
        else:
            call.json(200, {**self._facts(name), **self.facts})

    def _facts(self, name: str) -> dict[str, object]:
        return {
            "messaging_product": "whatsapp",
            "id": name,
            "url": f"{self.links}/link/{name}",
            "mime_type": "image/jpeg",
            "sha256": hashlib.sha256(self.body).hexdigest(),
            "file_size": str(len(self.body)),
        }


def _read_request(stream: BinaryIO, connection: int) -> Request | None:
    """The next request, or None when there is none: hung up, or no HTTP."""
    lines = []
    while line := stream.readline().strip().decode("latin-1"):
        lines.append(line)
    if not lines or not lines[0].endswith("HTTP/1.1"):
        return None
    method, path, _ = lines[0].split(" ")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    return Request(method, path, headers, connection)
