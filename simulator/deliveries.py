"""Webhook requests as the vendors write and sign them."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from simulator.accounts import Accounts
from simulator.content import Kind
from simulator.file_ids import link_token
from simulator.ledger import AnnouncedFile, AnnouncedMessage

META_PATH = "/webhooks/meta/"
TWILIO_PATH = "/webhooks/twilio/"

#: One change of a Meta delivery: what one number heard.
Change = Sequence[AnnouncedMessage]
#: One entry of a Meta delivery: the changes of one business account.
Entry = Sequence[Change]


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedRequest:
    """One webhook request, ready to be posted."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    #: The provider's ids of the messages that it carries.
    message_ids: tuple[str, ...]


# --- Meta: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks ------


def meta_delivery(
    accounts: Accounts, entries: Sequence[Entry], *, links: str = ""
) -> SignedRequest:
    """Messages in one delivery, batched on all three levels that Meta batches on.

    ``links``: the base URL of the host for links; with it each file also carries its own link.
    """
    payload = {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": accounts.meta_business_id,
                "changes": [
                    {"field": "messages", "value": _value(accounts, change, links)}
                    for change in entry
                ],
            }
            for entry in entries
        ],
    }
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    signature = hmac.new(accounts.meta_app_secret.encode(), body, sha256).hexdigest()
    return SignedRequest(
        method="POST",
        path=META_PATH,
        headers={
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": f"sha256={signature}",
        },
        body=body,
        message_ids=tuple(
            message.message_id
            for entry in entries
            for change in entry
            for message in change
        ),
    )


def _value(accounts: Accounts, change: Change, links: str) -> dict[str, Any]:
    names = {message.owner: message.name for message in change}
    return {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": accounts.meta_number,
            "phone_number_id": accounts.meta_phone_number_id,
        },
        "contacts": [
            {"profile": {"name": name}, "wa_id": _digits(owner)}
            for owner, name in names.items()
        ],
        "messages": [_meta_message(accounts, message, links) for message in change],
    }


def _meta_message(
    accounts: Accounts, message: AnnouncedMessage, links: str
) -> dict[str, Any]:
    said: dict[str, Any]
    if message.file is None:
        said = {"body": message.text}
    else:
        said = _meta_media(message.file)
        if message.text:
            said["caption"] = message.text
        if links:
            token = link_token(
                accounts.meta_app_secret, message.file.media_id, message.sent_at
            )
            said["url"] = f"{links}/links/{token}"
    return {
        "from": _digits(message.owner),
        "id": message.message_id,
        "timestamp": str(message.sent_at),
        "type": message.kind,
        message.kind: said,
    }


def _meta_media(file: AnnouncedFile) -> dict[str, Any]:
    media: dict[str, Any] = {
        "id": file.media_id,
        "mime_type": file.content_type,
        "sha256": b64encode(bytes.fromhex(file.sha256)).decode(),
    }
    match file.kind:
        case Kind.VOICE:
            return media | {"mime_type": "audio/ogg; codecs=opus", "voice": True}
        case Kind.DOCUMENT:
            return media | {"filename": file.filename}
        case Kind.STICKER:
            return media | {"animated": False}
        case _:
            return media


# --- Twilio: www.twilio.com/docs/messaging/guides/webhook-request -------------------------


def twilio_delivery(
    accounts: Accounts, message: AnnouncedMessage, *, public_url: str, api_url: str
) -> SignedRequest:
    """One message in one delivery, signed for the address that the outside knows the hub by."""
    form = {
        "SmsMessageSid": message.message_id,
        "NumMedia": "1" if message.file else "0",
        "ProfileName": message.name,
        # Twilio has no name of its own for stickers.
        "MessageType": "image" if message.kind == "sticker" else message.kind,
        "SmsSid": message.message_id,
        "SmsStatus": "received",
        "Body": message.text,
        "To": twilio_address(message.owner, accounts.twilio_number),
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": message.message_id,
        "AccountSid": message.account,
        "From": message.owner.removeprefix("sms:"),
        "ApiVersion": "2010-04-01",
    }
    if message.owner.startswith("whatsapp:"):
        form["WaId"] = _digits(message.owner)
    if message.file:
        account = f"/2010-04-01/Accounts/{message.account}"
        resource = (
            f"{account}/Messages/{message.message_id}/Media/{message.file.media_id}"
        )
        form |= {
            "MediaContentType0": message.file.content_type,
            "MediaUrl0": f"{api_url}{resource}",
        }
    return SignedRequest(
        method="POST",
        path=TWILIO_PATH,
        headers={
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "I-Twilio-Idempotency-Token": str(uuid5(NAMESPACE_URL, message.message_id)),
            "X-Twilio-Signature": _twilio_signature(
                accounts.twilio_auth_token, f"{public_url}{TWILIO_PATH}", form.items()
            ),
        },
        body=urlencode(form).encode(),
        message_ids=(message.message_id,),
    )


def _twilio_signature(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """www.twilio.com/docs/usage/security: HMAC-SHA1 over the URL and all fields by name."""
    signed = url + "".join(f"{name}{value}" for name, value in sorted(fields))
    return b64encode(hmac.new(token.encode(), signed.encode(), sha1).digest()).decode()


def twilio_address(customer: str, number: str) -> str:
    """The business's number on the customer's channel; SMS has bare numbers."""
    scheme = customer.partition(":")[0]
    return number if scheme == "sms" else f"{scheme}:{number}"


def _digits(owner: str) -> str:
    return owner.removeprefix("whatsapp:+")
