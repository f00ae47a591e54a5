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
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

BODY = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 16
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
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

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(
        self, status: int = 200, *headers: str, content_type: str = "image/jpeg"
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} Whatever",
            f"Content-Type: {content_type}",
            *headers,
        ]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(
        self,
        status: int,
        body: bytes = b"",
        *headers: str,
        content_type: str = "image/jpeg",
    ) -> None:
        """A proper answer; the connection lives on."""
        self.head(
            status, f"Content-Length: {len(body)}", *headers, content_type=content_type
        )
        self.send(body)
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
            "message": "Malformed access token hush-hush",
            "code": code,
            "error_subcode": subcode,
        }
        self.json(status, {"error": error}, *headers)

    def redirect(self, url: str, status: int = 302) -> None:
        self.answer(status, b"elsewhere", f"Location: {url}")

    def drip(self, data: bytes) -> None:
        """One byte after the other, until the other side has enough or the provider stops."""
        for byte in data:
            if self.provider.stopping.wait(PACE):
                return
            self.send(bytes([byte]))

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


Behaviour = Callable[[Call], None]
_BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(name: str) -> Callable[[Behaviour], Behaviour]:
    def register(play: Behaviour) -> Behaviour:
        _BEHAVIOURS[name] = play
        return play

    return register


# --- the file, whole ------------------------------------------------------------


@behaviour("photo")
def _photo(call: Call) -> None:
    call.answer(200, call.body)


@behaviour("chunked")
def _chunked(call: Call) -> None:
    call.head(200, "Transfer-Encoding: chunked")
    half = len(call.body) // 2
    for part in (call.body[:half], call.body[half:], b""):
        call.send(b"%x\r\n%s\r\n" % (len(part), part))
    call.keeps_alive = True


@behaviour("close-delimited")
def _close_delimited(call: Call) -> None:
    call.head(200)
    call.send(call.body)


@behaviour("html")
def _html(call: Call) -> None:
    call.answer(200, b"<!doctype html><title>Sorry</title>", content_type="text/html")


@behaviour("empty")
def _empty(call: Call) -> None:
    call.answer(200)


@behaviour("other-bytes")
def _other_bytes(call: Call) -> None:
    call.answer(200, call.body[::-1])


@behaviour("photo-once")
def _photo_once(call: Call) -> None:
    """The connection seems to live on, and is closed when the next request comes."""
    call.answer(200, call.body)
    call.wait_for_more()
    call.keeps_alive = False


@behaviour("photo-once-then-reset")
def _photo_once_then_reset(call: Call) -> None:
    _photo_once(call)
    call.reset()


@behaviour("204-and-a-body")
def _204_and_a_body(call: Call) -> None:
    """An answer that may have no body has one, which comes with the next request and looks like its
    answer.
    """
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    call.head(204, f"Content-Length: {len(smuggled)}")
    call.wait_for_more()
    call.send(smuggled)
    call.keeps_alive = True


# --- the file, not whole --------------------------------------------------------


@behaviour("truncated")
def _truncated(call: Call) -> None:
    call.head(200, f"Content-Length: {len(call.body)}")
    call.send(call.body[: len(call.body) // 2])


@behaviour("truncated-chunked")
def _truncated_chunked(call: Call) -> None:
    """Whole chunks, but never the last one."""
    call.head(200, "Transfer-Encoding: chunked")
    call.send(b"%x\r\n%s\r\n" % (len(call.body), call.body))


@behaviour("truncated-in-a-chunk")
def _truncated_in_a_chunk(call: Call) -> None:
    call.head(200, "Transfer-Encoding: chunked")
    call.send(b"%x\r\n%s" % (len(call.body), call.body[:100]))


@behaviour("truncated-close-delimited")
def _truncated_close_delimited(call: Call) -> None:
    """Half a file that HTTP can't tell from a whole one."""
    call.head(200)
    call.send(call.body[: len(call.body) // 2])


@behaviour("reset-mid-body")
def _reset_mid_body(call: Call) -> None:
    call.head(200, f"Content-Length: {len(call.body)}")
    call.send(call.body[:100])
    call.reset()


@behaviour("reset-at-once")
def _reset_at_once(call: Call) -> None:
    call.reset()


@behaviour("garbage")
def _garbage(call: Call) -> None:
    call.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@behaviour("malformed-header")
def _malformed_header(call: Call) -> None:
    call.head(200, "no colon here")
    call.send(call.body)


@behaviour("gzip")
def _gzip(call: Call) -> None:
    call.answer(200, b"\x1f\x8b" + call.body, "Content-Encoding: gzip")


@behaviour("gzip-transfer")
def _gzip_transfer(call: Call) -> None:
    call.head(200, "Transfer-Encoding: gzip, chunked")
    call.send(b"2\r\n\x1f\x8b\r\n0\r\n\r\n")


# --- the file, never ending -----------------------------------------------------


@behaviour("drip-body")
def _drip_body(call: Call) -> None:
    call.head(200, f"Content-Length: {len(call.body)}")
    call.drip(call.body)


@behaviour("drip-close-delimited")
def _drip_close_delimited(call: Call) -> None:
    call.head(200)
    call.drip(call.body)


@behaviour("drip-chunk-sizes")
def _drip_chunk_sizes(call: Call) -> None:
    """A chunk's length that goes on and on: no byte of the body ever comes."""
    call.head(200, "Transfer-Encoding: chunked")
    call.drip(b"0" * 10_000)


@behaviour("drip-headers")
def _drip_headers(call: Call) -> None:
    call.send(b"HTTP/1.1 200 OK\r\n")
    call.drip(b"X-Drip: " + b"a" * 10_000)


@behaviour("drip-status")
def _drip_status(call: Call) -> None:
    call.drip(b"HTTP/1.1 200 " + b"O" * 10_000)


@behaviour("drip-error")
def _drip_error(call: Call) -> None:
    call.head(404, "Content-Length: 10000")
    call.drip(b"x" * 10_000)


@behaviour("slow-headers")
def _slow_headers(call: Call) -> None:
    call.stay_silent()


@behaviour("stalled-body")
def _stalled_body(call: Call) -> None:
    call.head(200, f"Content-Length: {len(call.body)}")
    call.send(call.body[:100])
    call.stay_silent()


@behaviour("endless")
def _endless(call: Call) -> None:
    call.head(200, "Transfer-Encoding: chunked")
    while not call.provider.stopping.is_set():
        call.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")


@behaviour("endless-continue")
def _endless_continue(call: Call) -> None:
    while not call.provider.stopping.wait(PACE):
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")


# --- redirects ------------------------------------------------------------------


@behaviour("redirect")
def _redirect(call: Call) -> None:
    """To ``provider.target``."""
    call.redirect(call.provider.target)


@behaviour("redirect-307")
def _redirect_307(call: Call) -> None:
    call.redirect(call.provider.target, 307)


@behaviour("redirect-endless")
def _redirect_endless(call: Call) -> None:
    """To ``provider.target``, with a body that has no end."""
    call.head(302, "Transfer-Encoding: chunked", f"Location: {call.provider.target}")
    while not call.provider.stopping.is_set():
        call.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")


@behaviour("redirect-metadata")
def _redirect_metadata(call: Call) -> None:
    call.redirect("http://169.254.169.254/latest/meta-data/")


@behaviour("redirect-user")
def _redirect_user(call: Call) -> None:
    call.redirect(call.provider.url("photo").replace("//", "//user:password@"))


@behaviour("redirect-file")
def _redirect_file(call: Call) -> None:
    call.redirect("file:///etc/passwd")


@behaviour("redirect-loop")
def _redirect_loop(call: Call) -> None:
    call.redirect(call.request.path)


@behaviour("redirect-here")
def _redirect_here(call: Call) -> None:
    """To the photo on this same host, by a relative address."""
    call.redirect("photo")


@behaviour("redirect-nowhere")
def _redirect_nowhere(call: Call) -> None:
    call.answer(302)


# --- refusals -------------------------------------------------------------------


def _status(status: int, *headers: str) -> Behaviour:
    return lambda call: call.answer(status, b"no", *headers)


for _code in (204, 304, 400, 401, 403, 404, 410, 500, 503):
    _BEHAVIOURS[str(_code)] = _BEHAVIOURS[f"api-{_code}"] = _status(_code)
_BEHAVIOURS["429"] = _BEHAVIOURS["api-429"] = _status(429, "Retry-After: 7")

# What the Graph API says, by (HTTP status, code, subcode).
_BEHAVIOURS["api-gone"] = lambda call: call.graph_error(400, 100, 33)
_BEHAVIOURS["api-parameter"] = lambda call: call.graph_error(400, 100)
_BEHAVIOURS["api-token"] = lambda call: call.graph_error(400, 190, 463)
_BEHAVIOURS["api-permission"] = lambda call: call.graph_error(400, 10)
_BEHAVIOURS["api-permission-200"] = lambda call: call.graph_error(400, 299)
_BEHAVIOURS["api-throttled"] = lambda call: call.graph_error(
    400, 80007, 0, "Retry-After: 7"
)
_BEHAVIOURS["api-throttled-403"] = lambda call: call.graph_error(403, 4)
_BEHAVIOURS["api-error-200"] = lambda call: call.graph_error(200, 190)
_BEHAVIOURS["api-html"] = lambda call: _html(call)
_BEHAVIOURS["api-list"] = lambda call: call.json(200, ["url"])
_BEHAVIOURS["api-no-url"] = lambda call: call.json(200, {"id": "1"})
_BEHAVIOURS["api-nested"] = lambda call: call.answer(200, b"[" * 60_000)
_BEHAVIOURS["api-huge"] = lambda call: call.answer(
    200, b'{"url": "' + b"x" * 100_000 + b'"}'
)
_BEHAVIOURS["api-redirect"] = lambda call: call.redirect(call.provider.target)
_BEHAVIOURS["api-drip"] = _drip_headers


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
            _BEHAVIOURS.get(name, _unknown)(call)
        elif call.request.headers.get("authorization") in self.refused:
            call.graph_error(401, 190)
        elif name.startswith("api-"):
            _BEHAVIOURS.get(name, _unknown)(call)
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


def _unknown(call: Call) -> None:
    call.answer(501, b"no such behaviour")


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
