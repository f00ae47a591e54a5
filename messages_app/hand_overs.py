"""Hand-overs: submitted sessions are posted to the business's own address."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from requests.utils import requote_uri

from media_app.outbound import basic
from messages_app.providers import http
from messages_app.providers.sending import SendError


class HandOverError(Exception):
    """The business has not confirmed the summary; the same call may work later."""


def post(summary: Mapping[str, Any]) -> None:
    """POST a summary as JSON. Any 2xx confirms it; everything else raises HandOverError.

    ``Idempotency-Key`` is the session's id and the revision: the same key has the same body,
    however often it comes. ``X-Mediahub-Timestamp`` is the time of this call in seconds,
    ``X-Mediahub-Signature`` is ``sha256=`` and the hex HMAC-SHA256 of ``{timestamp}.{body}`` with
    SESSION_WEBHOOK_SECRET. ``X-Mediahub-Signature-256`` is that of the body alone, for receivers
    that know no timestamp.
    """
    body = json.dumps(summary, sort_keys=True).encode()
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{summary['id']}:{summary['revision']}",
    }
    if settings.SESSION_WEBHOOK_SECRET:
        timestamp = str(int(time.time()))
        headers["X-Mediahub-Timestamp"] = timestamp
        headers["X-Mediahub-Signature"] = _signature(timestamp.encode() + b"." + body)
        headers["X-Mediahub-Signature-256"] = _signature(body)
    try:
        url, authorization = _address()
        answer = http.post(url, headers={**headers, **authorization}, body=body)
    except (SendError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ValueError):
            # Not its text: it may quote the address, which may contain a secret.
            reason = "SESSION_WEBHOOK_URL can't be read."
        raise HandOverError(f"The business did not confirm it: {reason}") from None
    if not answer.succeeded:
        raise HandOverError(f"The business's address answered {answer.status}.")


def is_safe(url: str) -> bool:
    """Whether nobody can read on the way what is posted there: https, or this machine itself.

    Raises ValueError for an invalid address.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" or host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _signature(signed: bytes) -> str:
    return (
        "sha256="
        + hmac.new(
            settings.SESSION_WEBHOOK_SECRET[0].encode(), signed, hashlib.sha256
        ).hexdigest()
    )


def _address() -> tuple[str, Mapping[str, str]]:
    """SESSION_WEBHOOK_URL, and the header for a user name in it. Raises ValueError for an invalid
    address.
    """
    if not is_safe(settings.SESSION_WEBHOOK_URL):
        raise HandOverError(
            "SESSION_WEBHOOK_URL must begin with https://: photos are not sent for all to read."
        )
    parts = urlsplit(requote_uri(settings.SESSION_WEBHOOK_URL))
    if parts.username is None:
        return parts.geturl(), {}
    authorization = basic(unquote(parts.username), unquote(parts.password or ""))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), {
        "Authorization": authorization
    }
