"""The business's own address, where submitted sessions are handed over."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from requests.utils import requote_uri

from media_app.sources.http import basic
from messages_app.providers import http
from messages_app.providers.sending import SendError


class HandOverError(Exception):
    """The business has not confirmed that it has the summary; the same call may work later."""


def post(summary: Mapping[str, Any]) -> None:
    """POST a summary as JSON. Any 2xx confirms it; everything else raises HandOverError.

    ``Idempotency-Key`` is the session's id and the revision, ``X-Mediahub-Signature-256`` is ``sha256=`` and the
    hex HMAC-SHA256 of the body with SESSION_WEBHOOK_SECRET. The same key has the same body, however often it comes.
    """
    body = json.dumps(summary, sort_keys=True).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mediahub",
        "Idempotency-Key": f"{summary['id']}:{summary['revision']}",
    }
    if settings.SESSION_WEBHOOK_SECRET:
        digest = hmac.new(settings.SESSION_WEBHOOK_SECRET[0].encode(), body, hashlib.sha256).hexdigest()
        headers["X-Mediahub-Signature-256"] = f"sha256={digest}"
    try:
        url, authorization = _address()
        answer = http.post(url, headers={**headers, **authorization}, body=body)
    except (SendError, ValueError) as error:
        # Not the text of a ValueError: it may quote the address, which may carry a secret.
        reason = str(error) if isinstance(error, SendError) else "SESSION_WEBHOOK_URL can't be read."
        raise HandOverError(f"The business did not confirm it: {reason}") from None
    if not answer.succeeded:
        raise HandOverError(f"The business's address answered {answer.status}.")


def _address() -> tuple[str, Mapping[str, str]]:
    """SESSION_WEBHOOK_URL, and what a user name in it becomes. Raises ValueError where it is no address."""
    parts = urlsplit(requote_uri(settings.SESSION_WEBHOOK_URL))
    if parts.username is None:
        return parts.geturl(), {}
    authorization = basic(unquote(parts.username), unquote(parts.password or ""))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), {"Authorization": authorization}
