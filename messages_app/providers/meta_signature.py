"""The signature of Meta's webhooks, and the handshake before the first one.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

from django.conf import settings

from messages_app.providers.base import Cause, IncomingRequest, Refusal

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")


def refusal_of_headers(headers: Mapping[str, str]) -> Refusal | None:
    if not any(settings.META_APP_SECRET):
        return Refusal(cause=Cause.NOT_SET, reason="META_APP_SECRET is not set.")
    if not _SIGNATURE.fullmatch(headers.get("x-hub-signature-256", "")):
        reason = "The request has no X-Hub-Signature-256 like sha256=<64 hex digits>."
        return Refusal(cause=Cause.UNSIGNED, reason=reason)
    return None


def is_genuine(request: IncomingRequest) -> bool:
    """``X-Hub-Signature-256: sha256=<hex>``, an HMAC-SHA256 of the raw body with the app's
    secret.
    """
    # As bytes: compare_digest raises on text that is not ASCII.
    claimed = request.headers.get("x-hub-signature-256", "").encode(errors="replace")
    secrets = [secret.encode() for secret in settings.META_APP_SECRET if secret]
    return any(
        hmac.compare_digest(_signature(secret, request.body), claimed)
        for secret in secrets
    )


def refusal(request: IncomingRequest) -> Refusal:
    if refused := refusal_of_headers(request.headers):
        return refused
    reason = (
        "The signature is wrong: META_APP_SECRET is not the secret of the app that "
        "sent this."
    )
    return Refusal(cause=Cause.WRONG_SIGNATURE, reason=reason)


def challenge(query: Mapping[str, str]) -> str | None:
    """The answer to the handshake that Meta makes before it sends anything; None: refuse it."""
    claimed = query.get("hub.verify_token", "").encode(errors="replace")
    tokens = [token.encode() for token in settings.META_VERIFY_TOKEN if token]
    if query.get("hub.mode") != "subscribe" or not any(
        hmac.compare_digest(token, claimed) for token in tokens
    ):
        return None
    return query.get("hub.challenge")


def _signature(secret: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret, body, sha256).hexdigest().encode()
