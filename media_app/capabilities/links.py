"""Addresses of a bucket, opened as a viewer would: without the hub's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import requests

from media_app.outbound import CONNECT_SECONDS, SILENCE_SECONDS, USER_AGENT
from media_app.storage import StorageError

_MAX_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    status: int
    headers: Mapping[str, str]
    body: bytes


def open_link(url: str, *, origin: str = "") -> Opened:
    """The answer to a GET, its body up to 64 KB. Redirects are not followed, and no proxy or .netrc
    counts.

    ``origin`` is that of the page that asks. Raises StorageError, without the address.
    """
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if origin:
        headers["Origin"] = origin
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(
                url,
                headers=headers,
                timeout=(CONNECT_SECONDS, SILENCE_SECONDS),
                allow_redirects=False,
                stream=True,
            )
            with closing(answer):
                body = answer.raw.read(_MAX_ANSWER)
        except (requests.RequestException, OSError) as error:
            # From None: the text of the cause holds the link.
            kind = type(error).__name__
            raise StorageError(f"the address does not answer ({kind})") from None
    return Opened(answer.status_code, answer.headers, body)
