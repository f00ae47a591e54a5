"""The one door out: every byte from a provider comes through ``get``.

What a provider, or whoever can make one say so, may not do to us: lead a request to
an address of our own network, see the credentials of another host, hold a worker
longer than its deadline, send a compressed bomb, or pass off half a file as a whole.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from media_app.sources.errors import (
    RefusedAddressError,
    SourceError,
    ThrottledError,
    UnavailableError,
    WrongBytesError,
)

CONNECT_SECONDS = 5.0
# How long a provider may stay silent between two bytes.
READ_SECONDS = 10.0
MAX_REDIRECTS = 3
LONGEST_RETRY_AFTER = timedelta(hours=1)

_CHUNK = 64 * 1024
# The body of an error or a redirect up to this size is read, so that the connection can serve again.
_WORTH_READING = 16 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEADERS = {"User-Agent": "mediahub", "Accept": "*/*", "Accept-Encoding": "identity"}

# As a warning, urllib3 logs the link of each answer with a malformed header; links are signed.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class Deadline:
    """The wall-clock bound of one fetch, over all its requests. Thread-safe.

    Socket time-outs never fire on a server that drips one byte a second, so when the
    time is up the sockets themselves are shut down, and whatever waits on them fails.
    Only a name look-up can't be cut: the resolver's own time-outs bind there.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._reason = ""
        self._lock = threading.Lock()
        self._held: set[socket.socket] = set()
        self._timer: threading.Timer | None = None

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raises UnavailableError when the time is up or the fetch was cut."""
        if not self._reason and self.remaining() == 0:
            self._reason = self._too_long()
        if self._reason:
            raise UnavailableError(self._reason)

    def cut(self, reason: str) -> None:
        """End the fetch now, from any thread: its running read fails with UnavailableError(reason)."""
        with self._lock:
            # The reason stands before the sockets fall: a body that is cut must not look ended.
            self._reason = self._reason or reason
            for held in self._held:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def hold(self, sock: socket.socket) -> Iterator[None]:
        """Let the deadline cut this connected socket until the block ends."""
        # A duplicate: TLS moves a socket into another object and urllib3 closes it early,
        # yet shutting down any duplicate ends the connection.
        held = socket.socket(fileno=os.dup(sock.fileno()))
        try:
            with self._lock:
                self._held.add(held)
                if self._timer is None:
                    self._timer = threading.Timer(self.remaining(), self.cut, [self._too_long()])
                    self._timer.daemon = True
                    self._timer.start()
            self.check()
            yield
        finally:
            with self._lock:
                self._held.discard(held)
                if not self._held and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            held.close()

    def _too_long(self) -> str:
        return f"Fetching took longer than {self._seconds:g} s."


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """An address that may be called."""

    host: str
    port: int
    #: Whether the operator named this very address: it may lie in our own network, then.
    private: bool = False
    #: Whether the operator named the host, or an outsider chose it.
    listed: bool = False

    def refuse_network(self) -> NoReturn:
        """What to raise when the host lies where it must not."""
        text = f"{self.host} lies in a network that this hub may not call."
        # A vendor's host that leads home is a fault of name service, and passes.
        raise (UnavailableError if self.listed else RefusedAddressError)(text)


_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class Hosts:
    """Who may be called.

    An entry ``fbsbx.com`` stands for the host and its subdomains, https on port 443,
    at public addresses. An entry ``host:port`` is allowed as it stands, plain http and
    private addresses included; so is the operator's own ``base`` URL, in its scheme.
    ``anywhere`` adds every host there is, on the terms of the first kind.
    Raises ValueError for an entry or a base that can't be meant so.
    """

    def __init__(self, entries: Iterable[str] = (), *, base: str = "", anywhere: bool = False) -> None:
        self._anywhere = anywhere
        self._names: set[str] = set()
        self._exact: set[tuple[str, str, int]] = set()
        for entry in entries:
            parts = urlsplit(f"//{entry}")
            host, port = parts.hostname or "", parts.port
            if port is not None and "@" not in entry:
                self._exact |= {(scheme, host, port) for scheme in _DEFAULT_PORTS}
            elif _NAME.fullmatch(entry.lower()):
                self._names.add(host)
            else:
                raise ValueError(f"{entry!r} is neither a host nor host:port")
        if base:
            try:
                self._exact.add(address_of(base))
            except RefusedAddressError as error:
                raise ValueError(f"{base!r} can't be called: {error}") from None

    def permit(self, url: str) -> Permit:
        """Raises RefusedAddressError."""
        scheme, host, port = address_of(url)
        if (scheme, host, port) in self._exact:
            return Permit(host=host, port=port, private=True, listed=True)
        listed = any(host == name or host.endswith(f".{name}") for name in self._names)
        if (scheme, port) == ("https", 443) and (listed or self._anywhere):
            return Permit(host=host, port=port, listed=listed)
        raise RefusedAddressError(f"{scheme}://{host}:{port} is not an address that this hub may call.")


def address_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL.

    Raises RefusedAddressError for what is none, or carries a user name.
    """
    # Parsers disagree about these characters; the next one might see another host.
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise RefusedAddressError("The address has characters that do not belong in one.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RefusedAddressError("The address can't be read.") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise RefusedAddressError("The address is not one of the web.")
    if "@" in parts.netloc:
        raise RefusedAddressError("The address carries a user name.")
    if not all(0 < len(label) < 64 for label in parts.hostname.split(".")):
        raise RefusedAddressError("The address names no possible host.")
    return parts.scheme, parts.hostname, _DEFAULT_PORTS[parts.scheme] if port is None else port


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An answer whose body has still to be read."""

    status: int
    #: Names in any case.
    headers: Mapping[str, str]
    #: The announced length of the body, or None.
    size: int | None
    #: Whether the body marks its own end.
    delimited: bool
    #: Whether our credentials went with the request that this answers.
    authorized: bool
    #: The body as it arrives. Raises UnavailableError when it breaks off or the deadline passes.
    chunks: Iterator[bytes]

    def body(self, limit: int) -> bytes:
        """The whole body. Raises UnavailableError when it is longer than ``limit``."""
        whole = b""
        for chunk in self.chunks:
            whole += chunk
            if len(whole) > limit:
                raise UnavailableError("The provider's answer is too long to be one.")
        return whole

    def raise_if_busy(self, who: str) -> None:
        """Raise ThrottledError for a 429 and UnavailableError for a 5xx, whoever sent it."""
        if self.status == 429:
            raise ThrottledError(f"{who} asks to slow down (429).", retry_after(self.headers))
        if self.status >= 500:
            raise UnavailableError(f"{who} answered {self.status}.")


@contextmanager
def get(
    url: str, *, hosts: Hosts, deadline: Deadline, authorization: str = "", redirects: int = MAX_REDIRECTS
) -> Iterator[Response]:
    """Open ``url``, following redirects among ``hosts``; leaving the block ends the transfer.

    ``authorization`` goes to the first host only: once a redirect leads elsewhere, the
    request goes on bare. Bodies come as sent, never decoded: a compressed file is
    WrongBytesError. Raises RefusedAddressError, UnavailableError.
    """
    first = None
    for _ in range(redirects + 1):
        request = _prepare(url, authorization)
        permit = hosts.permit(request.url or "")
        first = first or address_of(request.url or "")
        with _exchange(request, permit, deadline) as response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                if response.status == 200:
                    _refuse_encoded(response.headers)
                yield response
                return
        url = _next(request.url or "", location)
        if address_of(url) != first:
            authorization = ""
    raise UnavailableError("The address leads from one redirect to the next.")


def basic(user: str, password: str) -> str:
    """The Authorization header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """What Retry-After asks for (RFC 9110 §10.2.3: seconds or a date), an hour at most."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        return min(timedelta(seconds=int(text)), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment - datetime.now(UTC), timedelta(0)), LONGEST_RETRY_AFTER)


def _prepare(url: str, authorization: str) -> requests.PreparedRequest:
    # Without a Session there is no ~/.netrc, no cookie and no proxy variable to mind. (A Session
    # also reads a redirect's whole body, unbounded, even when told not to follow it.)
    headers = {**_HEADERS, "Authorization": authorization} if authorization else _HEADERS
    address_of(url)
    try:
        return requests.Request("GET", url, headers=headers).prepare()
    except requests.exceptions.InvalidHeader:
        raise UnavailableError("The credentials have characters that can't be sent.") from None
    except (requests.RequestException, ValueError):
        raise RefusedAddressError("The address can't be read.") from None


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise RefusedAddressError("The redirect leads to no address.") from None


def _refuse_encoded(headers: Mapping[str, str]) -> None:
    content = headers.get("Content-Encoding", "identity").strip().lower()
    transfer = headers.get("Transfer-Encoding", "chunked").strip().lower()
    if content not in {"", "identity"} or transfer not in {"chunked", "identity"}:
        raise WrongBytesError("The provider sent the file compressed, which was not asked for.")


@contextmanager
def _exchange(request: requests.PreparedRequest, permit: Permit, deadline: Deadline) -> Iterator[Response]:
    """One request and its answer, without redirects."""
    with contextlib.ExitStack() as held:
        token = _current.set(_Terms(permit, deadline, held))
        try:
            deadline.check()
            left = deadline.remaining()
            timeout = (min(CONNECT_SECONDS, left), min(READ_SECONDS, left))
            raw = _adapter().send(request, stream=True, timeout=timeout, proxies={}).raw
        # ValueError: what http.client thinks of a header that it can't encode; its text has the header.
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            deadline.check()
            # From None: the text of some of these errors has the link.
            raise UnavailableError(f"{permit.host} {_failure(error)}.") from None
        finally:
            _current.reset(token)
        held.callback(raw.close)
        response = _read(request, raw, permit, deadline)
        try:
            yield response
        finally:
            if response.status != 200 and response.size is not None and response.size <= _WORTH_READING:
                with contextlib.suppress(SourceError):
                    response.body(_WORTH_READING)


def _read(request: requests.PreparedRequest, raw: urllib3.HTTPResponse, permit: Permit, deadline: Deadline) -> Response:
    chunked = raw.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    size = None if chunked else raw.length_remaining
    return Response(
        status=raw.status,
        headers=raw.headers,
        size=size,
        delimited=chunked or size is not None,
        authorized="Authorization" in request.headers,
        chunks=_chunks(raw, permit, deadline),
    )


def _chunks(raw: urllib3.HTTPResponse, permit: Permit, deadline: Deadline) -> Iterator[bytes]:
    while True:
        deadline.check()
        try:
            chunk = raw.read1(_CHUNK, decode_content=False)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            deadline.check()
            silent = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            raise UnavailableError(
                f"{permit.host} {'fell silent' if silent else 'broke off'} within the file."
            ) from error
        # Also after the last read: a socket that was shut down reads like a body that ended.
        deadline.check()
        if not chunk:
            return
        yield chunk


def _failure(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "has no TLS certificate that can be trusted, or broke off the TLS handshake"
    if isinstance(error, requests.exceptions.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "could not be reached, or broke off"
    return "gave an answer that can't be read"


# --- connections --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the connection of the request being sent has to obey."""

    permit: Permit
    deadline: Deadline
    held: contextlib.ExitStack

    def allows(self, address: str) -> bool:
        return self.permit.private or is_public(address)

    def judge(self, sock: socket.socket) -> None:
        """Take a connected socket, before anything is sent on it, or raise."""
        # The one truth, whatever was resolved and asked for.
        if not self.allows(sock.getpeername()[0]):
            self.permit.refuse_network()
        self.held.enter_context(self.deadline.hold(sock))


_current: ContextVar[_Terms] = ContextVar("terms")

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# RFC 6052: how a network without IPv4 spells IPv4 addresses.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether a numeric address lies on the public internet: not private, loopback, link-local or special."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if embedded is None:
            return ip in _GLOBAL_UNICAST and ip.is_global
        ip = embedded
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _Connection(HTTPConnection):
    """A connection that goes only where its terms permit, and that its deadline can cut."""

    def _new_conn(self) -> socket.socket:
        """Resolve, judge and connect in one: no second look-up could answer otherwise (DNS rebinding)."""
        terms = _current.get()
        permit = terms.permit
        if (self.host.lower(), self.port) != (permit.host, permit.port):
            raise RefusedAddressError("The address is read in two ways.")
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(permit.host, permit.port, type=socket.SOCK_STREAM)]
        allowed = [address for address in found if terms.allows(address)]
        if not allowed:
            permit.refuse_network()
        sock = self._connect(allowed, terms.deadline)
        try:
            terms.judge(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _connect(self, addresses: list[str], deadline: Deadline) -> socket.socket:
        failure = OSError("no address")
        for address in addresses:
            deadline.check()
            timeout = min(CONNECT_SECONDS, deadline.remaining())
            try:
                return create_connection((address, self.port), timeout, socket_options=self.socket_options)
            except OSError as error:
                failure = error
        raise failure

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            # Kept from an earlier request, perhaps under other terms.
            _current.get().judge(self.sock)
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


_threads = threading.local()
# Two processes must not talk through one connection.
os.register_at_fork(after_in_child=lambda: _threads.__dict__.clear())


def _adapter() -> _Adapter:
    """This thread's connections, kept alive between requests."""
    if not hasattr(_threads, "adapter"):
        _threads.adapter = _Adapter()
    adapter: _Adapter = _threads.adapter
    return adapter
