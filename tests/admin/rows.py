"""Rows as machines would have written them, for staff to look at."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone
from PIL import Image

from media_app.models import AccountPause, FetchAttempt, Media
from media_app.storage import media_storage
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Delivery,
    DeliveryNotice,
    Message,
    OutboxItem,
    PhotoSession,
    QuarantinedItem,
)

ANA = "whatsapp:+14335551212"
_serial = itertools.count(1)


def photo(colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 480), colour).save(out, "JPEG")
    return out.getvalue()


def make_media(
    data: bytes | None = None, *, owner: str = ANA, state: str = "", **fields: Any
) -> Media:
    """A file: stored, with its bytes in the bucket, where ``data`` is given; else in ``state``."""
    id, number = uuid4(), next(_serial)
    now = timezone.now()
    content_type = fields.pop("content_type", "image/jpeg")
    occurred_at: datetime = fields.pop("occurred_at", now - timedelta(minutes=number))
    key = f"{owner}/{int(occurred_at.timestamp())}-0-{id.hex[:12]}.jpeg"
    kept: dict[str, Any] = {}
    if data is not None:
        sha256 = hashlib.sha256(data).hexdigest()
        media_storage().put(
            key,
            io.BytesIO(data),
            size=len(data),
            content_type=content_type,
            metadata={},
        )
        kept = {
            "sha256": sha256,
            "size": len(data),
            "content_type": content_type,
            "stored_at": now,
        }
    return Media.objects.create(
        id=id,
        source="meta",
        owner=owner,
        key=key,
        occurred_at=occurred_at,
        **{
            "account": "555",
            "announced_at": occurred_at,
            "provider_media_id": str(number),
            "announced_type": content_type,
            "expires_at": occurred_at + timedelta(days=7),
            "give_up_at": occurred_at + timedelta(days=8),
            "state": state or ("stored" if data is not None else "pending"),
            **kept,
            **fields,
        },
    )


def attempt(media: Media, **fields: Any) -> FetchAttempt:
    """An attempt at the file that failed, unless told otherwise."""
    values = {
        "number": media.attempts or 1,
        "seconds": 0.4,
        "outcome": "failed",
        "answer": "503",
        **fields,
    }
    return FetchAttempt.objects.create(media=media, **values)


def pause(
    account: str = "555",
    *,
    source: str = "meta",
    cause: AccountPause.Cause = AccountPause.Cause.UNAUTHORIZED,
    reason: str = "The Graph API answered 401, code 190. META_ACCESS_TOKEN is refused.",
    length: timedelta = timedelta(minutes=5),
) -> AccountPause:
    """The account is left alone for so long from now; a negative length has run out."""
    AccountPause.objects.pause(
        source=source, account=account, cause=cause, reason=reason, length=length
    )
    return AccountPause.objects.get(source=source, account=account)


def make_contact(name: str = "Ana", *owners: str) -> Contact:
    contact = Contact.objects.create(
        id=uuid4(), name=name, named_at=timezone.now(), last_message_at=timezone.now()
    )
    for owner in owners or (ANA,):
        ContactOwner.objects.create(owner=owner, contact=contact)
    return contact


def make_delivery(body: bytes = b'{"entry": []}', **fields: Any) -> Delivery:
    id = hashlib.sha256(b"meta|" + body + str(next(_serial)).encode()).hexdigest()
    values = {
        "endpoint": "meta",
        "content_type": "application/json",
        "state": "processed",
        "attempts": 1,
        **fields,
    }
    return Delivery.objects.create(id=id, body=body, **values)


def make_message(
    contact: Contact | None, *files: Media, text: str = "", **fields: Any
) -> Message:
    now = timezone.now()
    values = {
        "kind": "image" if files else "text",
        "owner": ANA,
        "delivery": make_delivery(),
        "raw": {},
        **fields,
    }
    message = Message.objects.create(
        id=uuid4(),
        provider="meta",
        account="555",
        provider_message_id=f"wamid.{next(_serial)}",
        contact=contact,
        text=text,
        occurred_at=now,
        received_at=now,
        **values,
    )
    for position, media in enumerate(files):
        Attachment.objects.create(message=message, position=position, media=media)
    return message


def make_session(contact: Contact, *photos: Media, **fields: Any) -> PhotoSession:
    """A session that was submitted with these photos, unless told otherwise."""
    ended = timezone.now() - timedelta(minutes=5)
    values = {
        "state": "submitted",
        "owner": ANA,
        "provider": "meta",
        "account": "555",
        "business": "+15550001111",
        "started_at": ended - timedelta(minutes=9),
        "last_at": ended,
        "last_received_at": ended,
        "media_ids": [str(media.id) for media in photos],
        **fields,
    }
    return PhotoSession.objects.create(
        id=uuid4(), anchor_id=uuid4(), contact=contact, **values
    )


def make_reply(
    session: PhotoSession, kind: str = "ack", state: str = "sent", **fields: Any
) -> OutboxItem:
    """A reply or hand-over of the session, tried once."""
    tried = {} if state == "queued" else {"attempts": 1, "sending_at": session.last_at}
    sent = {"sent_at": session.last_at} if state == "sent" else {}
    values = {
        "place": session.outbox.count(),
        "caused_at": session.last_received_at,
        **tried,
        **sent,
        **fields,
    }
    return OutboxItem.objects.create(
        id=uuid4(), session=session, kind=kind, state=state, **values
    )


def quarantine(
    delivery: Delivery,
    *,
    path: str = "entry[0]",
    error: str = "no id",
    payload: Any = None,
) -> UUID:
    item = QuarantinedItem.objects.create(
        id=uuid4(), delivery=delivery, path=path, error=error, payload=payload
    )
    return item.id


def json_body(value: Any) -> bytes:
    return json.dumps(value).encode()


def notice(name: str, **fields: Any) -> DeliveryNotice:
    delivery = make_delivery()
    return DeliveryNotice.objects.create(
        id=uuid4(), delivery=delivery, name=name, **fields
    )
