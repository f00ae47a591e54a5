"""Twilio: its signature, and its forms of messages and statuses on WhatsApp, SMS, RCS and
Messenger.

https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from media_app.identity import SCHEMES, SMS, WHATSAPP, scheme_of
from messages_app.providers import twilio_sending
from messages_app.providers.base import (
    Cause,
    IncomingRequest,
    OutgoingMessage,
    RawDelivery,
    Refusal,
)
from messages_app.providers.events import (
    AttachedMedia,
    Event,
    MessageReceived,
    StatusChanged,
    Unreadable,
)
from messages_app.providers.lines import Line, limited
from messages_app.providers.owners import owners_among
from messages_app.providers.text import (
    KIND_LIMIT,
    NAME_LIMIT,
    TEXT_LIMIT,
    TYPE_LIMIT,
    keepable,
    keepable_id,
    keepable_link,
    place,
)
from messages_app.providers.twilio_lines import twilio_lines

MAX_MEDIA = 10
# Twilio sends some forty fields. Splitting millions of them would cost a gigabyte before the
# signature is known.
MAX_FIELDS = 1_000
_SIGNATURE = re.compile("[A-Za-z0-9+/]{27}(?:[A-Za-z0-9+/]{16})?=")
# The algorithms of Twilio's signatures; the first one is meant where none is named.
_HASHES = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_LEGACY = "HMAC_SHA1"

# Twilio's MessageType, where it is not Meta's name already.
KINDS = {"voice": "audio", "contact": "contacts", "vcard": "contacts"}
META_KINDS = frozenset(
    {
        "text",
        "image",
        "video",
        "audio",
        "document",
        "sticker",
        "location",
        "contacts",
        "reaction",
    }
    | {"interactive", "button", "order", "system", "unsupported"}
)
# Twilio's MessageStatus, where it is not Meta's name already.
STATUSES = {"undelivered": "failed", "canceled": "failed"}
OUTBOUND = frozenset(
    {
        "accepted",
        "scheduled",
        "queued",
        "sending",
        "sent",
        "delivered",
        "partially_delivered",
        "undelivered",
    }
    | {"read", "failed", "canceled"}
)
INBOUND = frozenset({"receiving", "received"})

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^/?#]*?)(?P<port>:[0-9]+)?(?P<rest>[/?#].*)?",
    re.DOTALL,
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_MEDIA_PATH = re.compile(
    r".*/Accounts/AC[0-9A-Za-z]+/Messages/[0-9A-Za-z]+/Media/(?P<sid>ME[0-9A-Za-z]+)"
)

Form = Mapping[str, Sequence[str]]


class TwilioProvider:
    """Reads what Twilio sends for all senders of one account, and sends for them."""

    name = "twilio"
    # TwiML that says nothing: replies go out through the API.
    acknowledgement = ('<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")
    # The longest of its forms has some 20 KB.
    max_bytes = 256 * 1024
    has_handshake = False
    has_account_per_number = False

    def challenge(self, query: Mapping[str, str]) -> str | None:
        return None

    def refusal_of_headers(self, headers: Mapping[str, str]) -> Refusal | None:
        name, secrets, _ = _method(headers)
        if not secrets:
            return Refusal(cause=Cause.NOT_SET, reason=f"{name} is not set.")
        if not _SIGNATURE.fullmatch(headers.get("x-twilio-signature", "")):
            reason = (
                "The request has no X-Twilio-Signature of 28 or 44 characters (Base64)."
            )
            return Refusal(cause=Cause.UNSIGNED, reason=reason)
        return None

    def is_genuine(self, request: IncomingRequest) -> bool:
        """``X-Twilio-Signature``: the base64 HMAC of the address and the sorted fields.

        SHA-1 with the auth token; with a shared key what ``X-Twilio-Webhooks-Signature-Settings``
        names.
        """
        signed = _signed_fields(request)
        if signed is None:
            return False
        return _is_signed(
            request, _addresses(settings.PUBLIC_URL + request.path), signed
        )

    def refusal(self, request: IncomingRequest) -> Refusal:
        """A signature for the address that the request names itself tells that only PUBLIC_URL is
        wrong.
        """
        if refusal := self.refusal_of_headers(request.headers):
            return refusal
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

    def read(self, delivery: RawDelivery) -> Iterator[Event]:
        """The one message or status of a form, and what its message lacks."""
        fields = _fields(delivery.body)
        if fields is None:
            yield _unreadable(f"more than {MAX_FIELDS} fields", delivery.body)
            return
        form: dict[str, list[str]] = {}
        for name, value in fields:
            form.setdefault(_text(name), []).append(_text(value))
        id = keepable_id(_first(form, "MessageSid", "SmsMessageSid", "SmsSid"))
        if not id:
            yield _unreadable("the form has no MessageSid", delivery.body)
        elif _is_inbound(form, delivery.endpoint):
            yield from _message(form, id, delivery)
        else:
            yield _status(form, id, delivery)

    def lines(self, raw: Mapping[str, Any]) -> list[Line]:
        return limited(twilio_lines(raw))

    def send(self, message: OutgoingMessage) -> str:
        return twilio_sending.send(message)


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
        claimed = _queried(request.path.partition("?")[2], "bodySHA256")
        return (
            b""
            if hmac.compare_digest(digest.encode(), claimed.encode(errors="replace"))
            else None
        )
    fields = _fields(request.body)
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


def _queried(query: str, name: str) -> str:
    """The first value of this name in a query, or ""."""
    return parse_qs(query).get(name, [""])[0]


def _fields(body: bytes) -> list[tuple[bytes, bytes]] | None:
    """The fields of a form byte for byte, empty ones too; None where they are too many for one of
    Twilio's.
    """
    parts = body.split(b"&", MAX_FIELDS)
    if len(parts) > MAX_FIELDS:
        return None
    pairs = [part.partition(b"=") for part in parts if part]
    return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]


def _unquoted(text: bytes) -> bytes:
    """Decode a name or value as ``unquote_to_bytes`` does.

    That one, like all that joins a list, takes up to 190 times the text's size.
    """
    text = text.replace(b"+", b" ")
    decoded, end = bytearray(), 0
    for escaped in _ESCAPED.finditer(text):
        decoded += text[end : escaped.start()]
        decoded.append(int(escaped[1], 16))
        end = escaped.end()
    return bytes(decoded + text[end:])


def _text(value: bytes) -> str:
    return keepable(value.decode(errors="replace"), len(value))


def _first(form: Form, *names: str) -> str:
    """The first of these fields that has a value; "" where none has."""
    return next((form[name][0] for name in names if form.get(name, [""])[0]), "")


def _raw(form: Form) -> dict[str, Any]:
    return {
        name: values[0] if len(values) == 1 else list(values)
        for name, values in form.items()
    }


def _is_inbound(form: Form, endpoint: str) -> bool:
    """Whether a customer wrote it. The form tells: a message sent to the wrong address is still a
    message.
    """
    if not INBOUND.isdisjoint(
        {_first(form, "MessageStatus"), _first(form, "SmsStatus")}
    ):
        return True
    if endpoint == "twilio-status" or _first(form, "MessageStatus"):
        return False
    # A status has neither words nor files. What has some is kept, whatever stands beside it.
    says_something = bool(_first(form, "Body", "MediaUrl0")) or _announced(form) > 0
    return says_something or _first(form, "SmsStatus").lower() not in OUTBOUND


def _status(form: Form, id: str, delivery: RawDelivery) -> Event:
    """https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"""
    status = _first(form, "MessageStatus", "SmsStatus").lower()
    if not status:
        return _unreadable("the form has no MessageStatus", delivery.body)
    code = _first(form, "ErrorCode")
    words = _first(form, "ErrorMessage") or twilio_sending.words(code)
    error = ": ".join(part for part in (code, words) if part)
    recipients = owners_among(_first(form, "To"), scheme=_channel(form))
    return StatusChanged(
        account=keepable_id(_first(form, "AccountSid")),
        provider_message_id=id,
        status=keepable(STATUSES.get(status, status), KIND_LIMIT),
        occurred_at=delivery.received_at,
        recipient=next(iter(recipients), ""),
        error=keepable(error, TEXT_LIMIT),
        reference=keepable(
            _queried(delivery.query, twilio_sending.REFERENCE), TEXT_LIMIT
        ),
        raw=_raw(form),
    )


def _message(form: Form, id: str, delivery: RawDelivery) -> Iterator[Event]:
    urls = [_first(form, f"MediaUrl{index}") for index in range(MAX_MEDIA)]
    channel = _channel(form)
    # The other two name people on WhatsApp alone.
    names = ("From", "ExternalUserId", "WaId") if channel == WHATSAPP else ("From",)
    yield MessageReceived(
        account=keepable_id(_first(form, "AccountSid")),
        provider_message_id=id,
        kind=_kind(form),
        # The form has no time of its own.
        occurred_at=delivery.received_at,
        time_assumed=True,
        owners=owners_among(*(_first(form, name) for name in names), scheme=channel),
        name=keepable(_first(form, "ProfileName"), NAME_LIMIT),
        business=keepable(_first(form, "To").removeprefix(f"{channel}:"), TYPE_LIMIT),
        text=keepable(
            _first(form, "Body", "ButtonText", "ListTitle") or _place(form), TEXT_LIMIT
        ),
        payload=keepable(_first(form, "ButtonPayload", "ListId"), TEXT_LIMIT),
        refers_to=keepable_id(_first(form, "OriginalRepliedMessageSid")),
        media=tuple(
            _media(form, index, url)
            for index, url in enumerate(urls)
            if keepable_link(url)
        ),
        raw=_raw(form),
    )
    for index, url in enumerate(urls):
        if not keepable_link(url) and (url or index < _announced(form)):
            yield Unreadable(
                path=f"MediaUrl{index}",
                error="a file is announced without its link",
                payload=_raw(form),
            )


def _channel(form: Form) -> str:
    """The scheme of the sender's owner. The addresses of SMS and MMS name no channel."""
    sender, business = _first(form, "From"), _first(form, "To")
    named = scheme_of(sender) or scheme_of(business)
    if named in SCHEMES:
        return named
    return SMS if sender and not named else WHATSAPP


def _kind(form: Form) -> str:
    sent = _first(form, "MessageType").lower()
    kind = KINDS.get(sent, sent)
    if kind in META_KINDS:
        return kind
    if _announced(form) or _first(form, "MediaUrl0"):
        family = _first(form, "MediaContentType0").partition("/")[0].lower()
        return family if family in {"image", "video", "audio"} else "document"
    if _first(form, "Latitude"):
        return "location"
    if _first(form, "ButtonText", "ButtonPayload"):
        return "button"
    return "interactive" if _first(form, "ListTitle", "ListId") else "text"


def _announced(form: Form) -> int:
    """How many files the form says there are."""
    text = _first(form, "NumMedia")
    return int(text) if re.fullmatch("[0-9]{1,4}", text) else 0


def _media(form: Form, index: int, url: str) -> AttachedMedia:
    path = url.partition("#")[0].partition("?")[0]
    match = _MEDIA_PATH.fullmatch(path)
    return AttachedMedia(
        provider_media_id=match["sid"] if match else "",
        content_type=keepable(_first(form, f"MediaContentType{index}"), TYPE_LIMIT),
        url=url,
    )


def _place(form: Form) -> str:
    return place(
        *(_first(form, name) for name in ("Label", "Address", "Latitude", "Longitude"))
    )


def _unreadable(error: str, body: bytes) -> Unreadable:
    """The whole form, for the eye."""
    return Unreadable(
        path="",
        error=error,
        payload=keepable(body.decode(errors="replace"), TEXT_LIMIT),
    )
