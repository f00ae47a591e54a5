"""The signature of Twilio's webhooks.

https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from django.conf import settings

from messages_app.providers.base import Cause, IncomingRequest, Refusal
from messages_app.providers.twilio_form import first_in_query, form_fields

_SIGNATURE = re.compile("[A-Za-z0-9+/]{27}(?:[A-Za-z0-9+/]{16})?=")
# The algorithms of Twilio's signatures; the first one is meant where none is named.
_HASHES = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_LEGACY = "HMAC_SHA1"

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^/?#]*?)(?P<port>:[0-9]+)?(?P<rest>[/?#].*)?",
    re.DOTALL,
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def refusal_of_headers(headers: Mapping[str, str]) -> Refusal | None:
    name, secrets, _ = _method(headers)
    if not secrets:
        return Refusal(cause=Cause.NOT_SET, reason=f"{name} is not set.")
    if not _SIGNATURE.fullmatch(headers.get("x-twilio-signature", "")):
        reason = (
            "The request has no X-Twilio-Signature of 28 or 44 characters (Base64)."
        )
        return Refusal(cause=Cause.UNSIGNED, reason=reason)
    return None


def is_genuine(request: IncomingRequest) -> bool:
    """``X-Twilio-Signature``: the base64 HMAC of the address and the sorted fields.

    SHA-1 with the auth token; with a shared key what ``X-Twilio-Webhooks-Signature-Settings``
    names.
    """
    signed = _signed_fields(request)
    if signed is None:
        return False
    return _is_signed(request, _addresses(settings.PUBLIC_URL + request.path), signed)


def refusal(request: IncomingRequest) -> Refusal:
    """A signature for the address that the request names itself tells that only PUBLIC_URL is
    wrong.
    """
    if refused := refusal_of_headers(request.headers):
        return refused
    checked = _without_query(settings.PUBLIC_URL + request.path)
    signed = _signed_fields(request)
    for address in _addresses_by_host(request):
        if signed is not None and _is_signed(request, _addresses(address), signed):
            reason = (
                f"PUBLIC_URL is wrong: Twilio called {_without_query(address)}, and "
                f"{checked} was checked."
            )
            return Refusal(cause=Cause.WRONG_ADDRESS, reason=reason)
    reason = (
        f"The signature is wrong for {checked}: {_method(request.headers)[0]} is not this "
        "account's, "
        "or PUBLIC_URL is not the address that Twilio calls."
    )
    return Refusal(cause=Cause.WRONG_SIGNATURE, reason=reason)


def _method(headers: Mapping[str, str]) -> tuple[str, list[bytes], str]:
    """How a request says that it is signed: the setting with the secret, the secrets, and a name in
    _HASHES or another.

    Twilio's package (9.13, request_validator.py) reads the header in the same way. Where it is
    missing, no shared key is in use.
    """
    named = headers.get("x-twilio-webhooks-signature-settings", "")
    if not named:
        return "TWILIO_AUTH_TOKEN", _bytes_of(settings.TWILIO_AUTH_TOKEN), _LEGACY
    parts = dict(part.strip().partition("=")[::2] for part in named.split(","))
    algorithm = parts.get("algorithm", "").strip().upper() or _LEGACY
    return (
        "TWILIO_SHARED_KEY_SECRET",
        _bytes_of(settings.TWILIO_SHARED_KEY_SECRET),
        algorithm,
    )


def _bytes_of(secrets: Iterable[str]) -> list[bytes]:
    return [secret.encode() for secret in secrets if secret]


def _signed_fields(request: IncomingRequest) -> bytes | None:
    """The fields as they are signed: each name once, in order, each of its values once, in order,
    after it.

    Another body than a form is signed by its digest in the address, and adds nothing here.
    None where the body is not what was signed.
    """
    if not request.content_type.lower().startswith("application/x-www-form-urlencoded"):
        digest = sha256(request.body).hexdigest()
        claimed = first_in_query(request.path.partition("?")[2], "bodySHA256")
        if hmac.compare_digest(digest.encode(), claimed.encode(errors="replace")):
            return b""
        return None
    fields = form_fields(request.body)
    if fields is None:
        return None
    return b"".join(name + value for name, value in sorted(set(fields)))


def _is_signed(
    request: IncomingRequest, addresses: Iterable[str], signed: bytes
) -> bool:
    """Whether the request's signature is one of these addresses and fields, with one of our
    secrets.
    """
    claimed = request.headers.get("x-twilio-signature", "").encode(errors="replace")
    texts = [address.encode(errors="replace") + signed for address in addresses]
    _, secrets, algorithm = _method(request.headers)
    if algorithm not in _HASHES:
        return False
    signatures = (
        hmac.digest(secret, text, _HASHES[algorithm])
        for secret in secrets
        for text in texts
    )
    return any(
        hmac.compare_digest(base64.b64encode(signature), claimed)
        for signature in signatures
    )


def _addresses_by_host(request: IncomingRequest) -> list[str]:
    """Where the request itself says that it was sent to: by the hosts that it and its proxies
    name.
    """
    hosts = {request.headers.get(name, "") for name in ("host", "x-forwarded-host")} - {
        ""
    }
    origins = {f"{scheme}://{host}" for scheme in ("https", "http") for host in hosts}
    parts = urlsplit(settings.PUBLIC_URL)
    return [
        f"{origin}{request.path}"
        for origin in sorted(origins | {f"{parts.scheme}://{parts.netloc}"})
    ]


def _without_query(address: str) -> str:
    return address.partition("?")[0]


def _addresses(address: str) -> list[str]:
    """The address that Twilio called, with its port and without: Twilio is not consistent about
    it.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return [address]
    start, rest = f"{match['scheme']}://{match['host']}", match["rest"] or ""
    return [
        f"{start}{match['port'] or _DEFAULT_PORTS[match['scheme']]}{rest}",
        f"{start}{rest}",
    ]
