"""How this hub calls other hosts: the policy that its two HTTP clients share.

``media_app.sources.http`` fetches files; ``messages_app.providers.http`` sends replies and hands
sessions over. Buckets are called by boto3.

In both no proxy variable, ~/.netrc or cookie has any effect, only the certificates that come with
requests count, bodies are not decompressed, credentials are tried one after the other until they
are accepted, and the texts of errors have neither links nor credentials.

They differ because a file may be requested twice, and a message must not be sent twice:

- Fetching: GET. An outsider may have chosen the address, so ``Hosts`` says which may be called:
  only public addresses, except for a ``host:port`` that the operator named. Redirects are
  followed. Connections are kept; a request that gets no answer on a kept one is sent again on a
  new one. The caller's ``Deadline`` limits the whole fetch.
- Sending: POST, and DELETE of what an erased person sent. The operator's settings name the
  address. Redirects are not followed. Each request has a new connection: one that is lost on a kept
  connection can't be told from one that arrived. What fails before the connection stands was not
  sent; after it the outcome is unknown, until an answer says it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, TypeVar

from urllib3.exceptions import HTTPError

T = TypeVar("T")

USER_AGENT = "mediahub"
#: For each address of a host, and for each step of the TLS handshake.
CONNECT_SECONDS = 5.0
#: Fetching: between two bytes of an answer.
SILENCE_SECONDS = 10.0
#: Sending: from the first byte of the request to the last one of the answer.
ANSWER_SECONDS = 15.0
#: Fetching. Meta's Graph API may not redirect at all.
MAX_REDIRECTS = 3
#: Of an API. A longer one can't be read.
MAX_ANSWER = 64 * 1024
MAX_RETRY_AFTER = timedelta(hours=1)

#: What a connection and an answer may raise. requests' errors are OSErrors; http.client raises
#: ValueErrors for what it can't encode or read, and their texts have headers and links.
NETWORK_ERRORS = (HTTPError, HTTPException, OSError, ValueError)
#: What an ``ssl.SSLError`` means, after the host's name.
TLS_FAILURE = (
    "has no TLS certificate that can be trusted, or broke off the TLS handshake"
)


def basic(user: str, password: str) -> str:
    """The Authorization header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def first_accepted(
    credentials: Iterable[str], attempt: Callable[[str], T], refusal: Exception
) -> T:
    """The result of the first attempt whose credentials are accepted.

    An attempt raises the class of ``refusal`` where they are refused; any other error ends it.
    Raises the last refusal, or ``refusal`` itself where there are no credentials.
    """
    for each in credentials:
        try:
            return attempt(each)
        except type(refusal) as error:
            refusal = error
    raise refusal


def retry_after(text: str) -> timedelta | None:
    """What a Retry-After header asks for (RFC 9110 §10.2.3: seconds or a date), an hour at most;
    None where it can't be read.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        return min(timedelta(seconds=int(text)), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - datetime.now(UTC), timedelta(0)), MAX_RETRY_AFTER)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an API's answer; an empty one where none can be read: then the status
    decides.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    return answer


def whole_number(value: object) -> int | None:
    """A size or an error code in an answer, written as a number or as text; None for what is
    neither.
    """
    text = str(value)
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return None
