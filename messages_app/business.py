"""The business's own address, where submitted sessions are handed over."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import requests
from django.conf import settings

TIMEOUT_SECONDS = (5, 15)


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
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                settings.SESSION_WEBHOOK_URL,
                data=body,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            status = answer.status_code
            answer.close()
    except (requests.RequestException, ValueError) as error:
        # Not its text: it has the address, which may carry a secret.
        raise HandOverError(f"The business's address could not be reached: {type(error).__name__}.") from None
    if not 200 <= status < 300:
        raise HandOverError(f"The business's address answered {status}.")
