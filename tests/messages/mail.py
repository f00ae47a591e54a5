"""Signed deliveries for these tests, and their way through the webhook."""

from __future__ import annotations

import hmac
import json
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from messages_app import inbox
from messages_app.models import Delivery
from simulator.accounts import Accounts
from simulator.content import Kind
from simulator.deliveries import (
    META_PATH,
    TWILIO_PATH,
    Entry,
    SignedRequest,
    meta_delivery,
    twilio_delivery,
)
from simulator.file_ids import FileId
from simulator.ledger import AnnouncedFile, AnnouncedMessage

ACCOUNTS = Accounts.from_environment()
STATUS_PATH = "/webhooks/twilio/status/"
ADA = "whatsapp:+14335551212"
BOB = "whatsapp:+15550002222"
#: One for all: each new client looks through all static files first.
CLIENT = Client()
#: All messages are a minute old when the tests begin.
SENT = int(time.time()) - 60

Json = dict[str, Any]


def photo(
    number: int,
    *,
    owner: str = ADA,
    name: str = "Ada",
    sent_at: int = SENT,
    text: str = "",
    provider: str = "meta",
) -> AnnouncedMessage:
    """The photo with this number; the same number is the same photo."""
    id = FileId(Kind.PHOTO, number, SENT)
    message_id = f"wamid.{number:08}" if provider == "meta" else f"MM{number:032x}"
    account = (
        ACCOUNTS.meta_phone_number_id
        if provider == "meta"
        else ACCOUNTS.twilio_account_sid
    )
    file = AnnouncedFile(
        provider=provider,
        account=account,
        media_id=id.meta if provider == "meta" else id.twilio,
        message_id=message_id,
        owner=owner,
        kind=Kind.PHOTO,
        sha256=sha256(str(number).encode()).hexdigest(),
        size=1000 + number,
        content_type="image/jpeg",
        filename="",
        occurred_at=None,
    )
    return AnnouncedMessage(
        provider=provider,
        account=account,
        message_id=message_id,
        owner=owner,
        name=name,
        kind="image",
        text=text,
        sent_at=sent_at,
        file=file,
    )


# --- Meta ---------------------------------------------------------------------


def album(*photos: AnnouncedMessage) -> SignedRequest:
    """All photos in one change of one entry."""
    return batch([[photos]])


def batch(entries: Sequence[Entry]) -> SignedRequest:
    return meta_delivery(ACCOUNTS, entries)


def meta(
    *messages: Json, contacts: Sequence[Json] = (), statuses: Sequence[Json] = ()
) -> SignedRequest:
    """A delivery of messages written by hand."""
    value: Json = {}
    if messages:
        value |= {"contacts": list(contacts), "messages": list(messages)}
    if statuses:
        value |= {"statuses": list(statuses)}
    return field("messages", **value)


def field(name: str, /, **value: object) -> SignedRequest:
    """A delivery of one webhook field."""
    metadata = {
        "display_phone_number": ACCOUNTS.meta_number,
        "phone_number_id": ACCOUNTS.meta_phone_number_id,
    }
    change = {
        "field": name,
        "value": {"messaging_product": "whatsapp", "metadata": metadata, **value},
    }
    entry = {"id": ACCOUNTS.meta_business_id, "changes": [change]}
    return meta_json({"object": "whatsapp_business_account", "entry": [entry]})


def meta_json(payload: object) -> SignedRequest:
    return meta_bytes(json.dumps(payload).encode())


def meta_bytes(body: bytes, secret: str = ACCOUNTS.meta_app_secret) -> SignedRequest:
    """Any body at all, with Meta's signature."""
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    return SignedRequest(
        method="POST", path=META_PATH, headers=headers, body=body, message_ids=()
    )


def image(id: str, *, sender: str = ADA, at: int = SENT, **more: object) -> Json:
    """An image as Meta writes it; ``more`` goes beside its type."""
    file = {
        "id": f"media-{id}",
        "mime_type": "image/jpeg",
        "sha256": b64encode(bytes(32)).decode(),
    }
    message: Json = {"id": id, "timestamp": str(at), "type": "image", "image": file}
    return {"from": sender.removeprefix("whatsapp:+"), **message, **more}


def text(id: str, body: str, *, sender: str = ADA, at: int = SENT) -> Json:
    """Words as Meta writes them."""
    message: Json = {"id": id, "timestamp": str(at), "type": "text"}
    return {
        "from": sender.removeprefix("whatsapp:+"),
        **message,
        "text": {"body": body},
    }


def card(name: str, owner: str = "", hidden: str = "") -> Json:
    """A sender's card: known by number, by hidden id, or by both."""
    ids = {"wa_id": owner.removeprefix("whatsapp:+"), "user_id": hidden}
    return {
        "profile": {"name": name},
        **{key: value for key, value in ids.items() if value},
    }


# --- Twilio -------------------------------------------------------------------


def twilio(message: AnnouncedMessage) -> SignedRequest:
    return twilio_delivery(
        ACCOUNTS,
        message,
        public_url=settings.PUBLIC_URL,
        api_url="https://api.twilio.com",
    )


def twilio_form(
    form: Mapping[str, str], path: str = TWILIO_PATH, *, public_url: str = ""
) -> SignedRequest:
    """Any form at all, with Twilio's signature."""
    signed = f"{public_url or settings.PUBLIC_URL}{path}" + "".join(
        f"{name}{value}" for name, value in sorted(form.items())
    )
    signature = b64encode(
        hmac.new(ACCOUNTS.twilio_auth_token.encode(), signed.encode(), sha1).digest()
    ).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    return SignedRequest(
        method="POST",
        path=path,
        headers=headers,
        body=urlencode(form).encode(),
        message_ids=(),
    )


# --- on the way ---------------------------------------------------------------


def post(
    request: SignedRequest, *, client: Client = CLIENT, **headers: str
) -> HttpResponse:
    """Through the webhook. ``headers`` (names with ``_`` for ``-``) replace its own."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**request.headers, **changed}
    content_type = sent.pop("Content-Type")
    answer: Any = client.generic(
        request.method,
        request.path,
        request.body,
        content_type=content_type,
        headers=sent,
    )
    return answer  # type: ignore[no-any-return]


def arrive(*requests: SignedRequest) -> list[Delivery]:
    """Through the webhook, one after the other; the deliveries that are kept now."""
    for request in requests:
        answer = post(request)
        assert answer.status_code == 200, (answer.status_code, answer.content)
    return list(Delivery.objects.order_by("received_at", "id"))


def receive(*requests: SignedRequest) -> None:
    """Through the webhook, and then read."""
    arrive(*requests)
    inbox.drain()
