"""The HTTP client for sending: a request is sent at most once, and it is known whether it was.

``media_app.outbound`` has the policy.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from media_app.outbound import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    MAX_ANSWER,
    NETWORK_ERRORS,
    TLS_FAILURE,
    USER_AGENT,
    json_object,
    retry_after,
)
from media_app.sources.deadline import Deadline
from media_app.sources.errors import RefusedAddressError, SourceError
from media_app.sources.hosts import address_of
from messages_app.providers.sending import (
    CredentialsRefusedError,
    NotSentError,
    RefusedError,
    SendError,
    UnknownOutcomeError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorCodes:
    """A provider's error codes, by what they mean for a message."""

    #: Our credentials are refused.
    credentials: frozenset[int]
    #: To be sent again later.
    busy: frozenset[int]
    #: Never to be sent: the reason, for staff.
    refusals: Mapping[int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A provider's answer to a message."""

    status: int
    retry_after: timedelta | None = None
    #: The JSON object of the body; an empty one where none can be read: then the status decides.
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    def error(self, who: str, code: int | None, codes: ErrorCodes) -> SendError:
        """What an answer without the message's id means. Only after a 4xx it is certain that
        nothing was sent.
        """
        what = f"{who} answered {self.status}"
        if code is not None:
            what += f", code {code}"
        if not 400 <= self.status < 500:
            return UnknownOutcomeError(
                f"{what}, which does not say whether the message was sent."
            )
        if self.status == 401 or code in codes.credentials:
            return CredentialsRefusedError(f"{what}: our credentials are refused.")
        # Before the refusals: these codes come with a 400 or 403 too.
        if self.status in {408, 429} or code in codes.busy:
            return NotSentError(
                f"{what}: it wants the message later.", self.retry_after
            )
        return RefusedError(
            f"{what}: {codes.refusals.get(code or 0, 'it does not take this message')}."
        )


def post(url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send a request once and read its answer, of any status.

    Raises NotSentError before anything is sent, UnknownOutcomeError after.
    """
    return _exchange("POST", url, headers, body)


def _exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    # Always from None: the texts of some of these errors contain the credentials.
    with contextlib.closing(_connection(url)) as connection:
        host = connection.host
        _write_head(
            connection,
            method,
            url,
            {**headers, "User-Agent": USER_AGENT, "Content-Length": str(len(body))},
        )
        try:
            connection.connect()
        except OSError as error:
            raise NotSentError(f"{host} {_failure(error)}.") from None
        try:
            with Deadline(ANSWER_SECONDS).hold(connection.sock):
                connection.sock.settimeout(ANSWER_SECONDS)
                connection.endheaders(body)
                return _read(connection.getresponse())
        except (*NETWORK_ERRORS, SourceError):
            raise UnknownOutcomeError(
                f"{host} got the message, or a part of it, and gave no answer that can be read."
            ) from None


def delete(url: str, headers: Mapping[str, str]) -> Answer:
    """Ask an API to delete something, and read its answer, of any status. To ask twice does no
    harm. Raises NotSentError, UnknownOutcomeError.
    """
    return _exchange("DELETE", url, headers, b"")


def _connection(url: str) -> HTTPConnection:
    try:
        scheme, host, port = address_of(url)
    except RefusedAddressError as error:
        raise NotSentError(
            f"The address in the settings can't be called: {error}"
        ) from None
    if scheme == "http":
        return HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    return HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=_trust())


@cache
def _trust() -> ssl.SSLContext:
    """Read once for each process: reading the certificates takes longer than a handshake."""
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def _write_head(
    connection: HTTPConnection, method: str, url: str, headers: Mapping[str, str]
) -> None:
    """Prepare the request's head; nothing is sent before ``endheaders``."""
    parts = urlsplit(url)
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    try:
        connection.putrequest(method, target)
    except (ValueError, HTTPException):
        raise NotSentError("The address in the settings can't be called.") from None
    try:
        for name, value in headers.items():
            connection.putheader(name, value)
    except ValueError:
        raise CredentialsRefusedError(
            "The credentials have characters that can't be sent."
        ) from None


def _read(response: HTTPResponse) -> Answer:
    """The answer. Where the body breaks off or is no JSON object, the status decides."""
    body = b""
    with contextlib.suppress(*NETWORK_ERRORS):
        body = response.read(MAX_ANSWER)
    return Answer(
        status=response.status,
        retry_after=retry_after(response.headers.get("Retry-After", "")),
        data=json_object(body),
    )


def _failure(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return TLS_FAILURE
    if isinstance(error, TimeoutError):
        return "did not take the connection in time"
    return "could not be reached"
