"""The HTTP client for fetching: every byte from a provider comes through ``get``.

Neither a provider nor a forged link can: lead a request to an address of our own network, get the
credentials of another host, keep a worker busy longer than its deadline, send bytes slower than
MINIMUM_RATE, send a compressed bomb, or pass off half a file as a whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urljoin

import requests
import urllib3

from media_app.outbound import (
    MAX_REDIRECTS,
    NETWORK_ERRORS,
    TLS_FAILURE,
    USER_AGENT,
    retry_after,
)
from media_app.sources import connections
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    RefusedAddressError,
    SourceError,
    ThrottledError,
    UnavailableError,
    WrongBytesError,
)
from media_app.sources.hosts import Hosts, Permit, address_of
from media_app.sources.pace import Pace, watched

_CHUNK = 64 * 1024
# The body of an error or a redirect up to this size is read, so that the connection can be used
# again.
_MAX_DISCARDED = 16 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}


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

    @property
    def retry_after(self) -> timedelta | None:
        return retry_after(self.headers.get("Retry-After", ""))

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
            raise ThrottledError(f"{who} asks to slow down (429).", self.retry_after)
        if self.status >= 500:
            raise UnavailableError(f"{who} answered {self.status}.")


@contextmanager
def get(
    url: str,
    *,
    hosts: Hosts,
    deadline: Deadline,
    authorization: str = "",
    redirects: int = MAX_REDIRECTS,
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


def _prepare(url: str, authorization: str) -> requests.PreparedRequest:
    # Without a Session no ~/.netrc, cookie or proxy variable has any effect. (A Session
    # also reads a redirect's whole body, unbounded, even when told not to follow it.)
    headers = dict(_HEADERS)
    if authorization:
        headers["Authorization"] = authorization
    address_of(url)
    try:
        return requests.Request("GET", url, headers=headers).prepare()
    except requests.exceptions.InvalidHeader:
        raise UnavailableError(
            "The credentials have characters that can't be sent."
        ) from None
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
        raise WrongBytesError(
            "The provider sent the file compressed, which was not asked for."
        )


@contextmanager
def _exchange(
    request: requests.PreparedRequest, permit: Permit, deadline: Deadline
) -> Iterator[Response]:
    """One request and its answer, without redirects."""
    with contextlib.ExitStack() as held:
        pace = held.enter_context(watched(deadline))
        try:
            with pace.waiting():
                raw = connections.send(request, permit, deadline, held)
        except NETWORK_ERRORS as error:
            deadline.check()
            # From None: the text of some of these errors has the link.
            raise UnavailableError(f"{permit.host} {_failure(error)}.") from None
        response = _read(request, raw, permit, deadline, pace)
        try:
            yield response
        finally:
            is_small = response.size is not None and response.size <= _MAX_DISCARDED
            if response.status != 200 and is_small:
                with contextlib.suppress(SourceError):
                    response.body(_MAX_DISCARDED)


def _read(
    request: requests.PreparedRequest,
    raw: urllib3.HTTPResponse,
    permit: Permit,
    deadline: Deadline,
    pace: Pace,
) -> Response:
    chunked = raw.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    size = raw.length_remaining
    if chunked:
        size = None
    return Response(
        status=raw.status,
        headers=raw.headers,
        size=size,
        delimited=chunked or size is not None,
        authorized="Authorization" in request.headers,
        chunks=_chunks(raw, permit, deadline, pace),
    )


def _chunks(
    raw: urllib3.HTTPResponse, permit: Permit, deadline: Deadline, pace: Pace
) -> Iterator[bytes]:
    while True:
        deadline.check()
        try:
            with pace.waiting():
                chunk = raw.read1(_CHUNK, decode_content=False)
        except NETWORK_ERRORS as error:
            deadline.check()
            what = "broke off"
            if isinstance(error, urllib3.exceptions.ReadTimeoutError):
                what = "fell silent"
            raise UnavailableError(f"{permit.host} {what} within the file.") from error
        # Also after the last read: a socket that was shut down reads like a body that ended.
        deadline.check()
        if not chunk:
            return
        pace.came(len(chunk))
        yield chunk


def _failure(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return TLS_FAILURE
    if isinstance(error, requests.exceptions.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "could not be reached, or broke off"
    return "gave an answer that can't be read"
