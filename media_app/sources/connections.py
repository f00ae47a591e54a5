"""Connections to permitted addresses only, which a deadline can cut."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from media_app.outbound import CONNECT_SECONDS, SILENCE_SECONDS
from media_app.sources.deadline import Deadline
from media_app.sources.errors import RefusedAddressError
from media_app.sources.hosts import Permit, is_public

# RFC 9112 §6.3: whatever their headers say.
_WITHOUT_BODY = frozenset({204, 304})

# As a warning, urllib3 logs the link of each answer with a malformed header; links are signed.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


def send(
    request: requests.PreparedRequest,
    permit: Permit,
    deadline: Deadline,
    held: contextlib.ExitStack,
) -> urllib3.HTTPResponse:
    """Send one request and return its answer, the body unread and redirects not followed.

    A server may close an idle connection just when a request is on its way to it. When no answer
    comes on a reused connection, the request is sent once more, on a new one: only GETs come here.

    ``held`` is given what ends the transfer. Raises RefusedAddressError, UnavailableError,
    and what requests, urllib3, http.client and the socket raise.
    """
    terms = _Terms(permit, deadline, held)
    try:
        raw = _send_once(request, terms)
    except requests.ConnectionError:
        if not terms.on_reused_connection:
            raise
        # The other idle connections are as old.
        _adapter().close()
        raw = _send_once(request, _Terms(permit, deadline, held))
    held.callback(raw.close)
    return raw


def _send_once(
    request: requests.PreparedRequest, terms: _Terms
) -> urllib3.HTTPResponse:
    token = _current.set(terms)
    try:
        terms.deadline.check()
        left = terms.deadline.remaining()
        timeout = (min(CONNECT_SECONDS, left), min(SILENCE_SECONDS, left))
        raw: urllib3.HTTPResponse = (
            _adapter().send(request, stream=True, timeout=timeout, proxies={}).raw
        )
        return raw
    finally:
        _current.reset(token)


@dataclass(slots=True)
class _Terms:
    """What limits the connection of the request being sent."""

    permit: Permit
    deadline: Deadline
    held: contextlib.ExitStack
    #: Whether the request goes over a connection that has carried another one.
    on_reused_connection: bool = False

    def allows(self, address: str) -> bool:
        return self.permit.private or is_public(address)

    def accept(self, sock: socket.socket) -> None:
        """Check a connected socket before anything is sent on it, and let the deadline cut it."""
        # The address that counts, whatever was resolved before.
        if not self.allows(sock.getpeername()[0]):
            self.permit.refuse_network()
        self.held.enter_context(self.deadline.hold(sock))


_current: ContextVar[_Terms] = ContextVar("terms")


class _Connection(HTTPConnection):
    """A connection that goes only where its terms permit, and that its deadline can cut."""

    def _new_conn(self) -> socket.socket:
        """Resolve, check and connect in one: a second look-up could give another address (DNS
        rebinding).
        """
        terms = _current.get()
        permit = terms.permit
        if (self.host.lower(), self.port) != (permit.host, permit.port):
            raise RefusedAddressError("The address is read in two ways.")
        found = [
            str(entry[4][0])
            for entry in socket.getaddrinfo(
                permit.host, permit.port, type=socket.SOCK_STREAM
            )
        ]
        allowed = [address for address in found if terms.allows(address)]
        if not allowed:
            permit.refuse_network()
        sock = self._connect(allowed, terms.deadline)
        try:
            terms.accept(sock)
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
                return create_connection(
                    (address, self.port), timeout, socket_options=self.socket_options
                )
            except OSError as error:
                failure = error
        raise failure

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            # Reused from an earlier request, perhaps under other terms.
            terms = _current.get()
            terms.on_reused_connection = True
            terms.accept(self.sock)
        super().request(*args, **kwargs)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        response = super().getresponse()
        if response.status in _WITHOUT_BODY:
            # Some servers send a body all the same: it would be read as the answer to the next
            # request.
            self.close()
        return response


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
