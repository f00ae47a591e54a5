"""Messages of contacts and the sessions that follow, in short words."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from messages_app import outbox
from messages_app.models import Contact, OutboxItem, PhotoSession
from simulator.shop import Shop
from tests.messages import mail
from tests.messages.mail import ADA, SENT, Json, image, meta

Kind = OutboxItem.Kind
State = PhotoSession.State
Verb = PhotoSession.Verb
HIDDEN = "US.4815162342"
HOUR = 3600
DAY = 24 * HOUR

# A contact's messages: seconds and texts; "" is a photo.
STORY: list[tuple[int, str]] = [
    (0, "sell"),
    (1, ""),
    (2, ""),
    (3, "hello"),
    (5, "done"),
    (9, "A scratch."),
    (20, ""),
    (21, "cancel"),
    (30, ""),
    (30 + HOUR, ""),
    (31 + 2 * HOUR, "done"),
]


def picture(
    second: int, *, of: str = ADA, name: str = "", caption: str = "", bytes_of: str = ""
) -> Json:
    """A photo that came ``second`` seconds after the first message; of a content of its own, unless
    it is said.
    """
    id = f"wamid.{of}.{name or second}"
    digest = sha256((bytes_of or id).encode()).digest()
    file = {
        "id": f"media-{id}",
        "mime_type": "image/jpeg",
        "sha256": b64encode(digest).decode(),
    }
    return image(
        id,
        sender=of,
        at=SENT + second,
        image={**file, **({"caption": caption} if caption else {})},
    )


def text(second: int, body: str, *, of: str = ADA) -> Json:
    id = f"wamid.{of}.{second}.{body}"
    return mail.text(id, body, sender=of, at=SENT + second)


def receive(*messages: Json) -> None:
    """Each in a delivery of its own, all read in one go."""
    mail.receive(*(meta(message) for message in messages))


def sessions(of: str = ADA) -> list[PhotoSession]:
    """Those that are something, the oldest first."""
    rows = PhotoSession.objects.filter(contact__owners__owner=of).order_by(
        "started_at", "id"
    )
    return [row for row in rows if row.message_ids]


def one(of: str = ADA) -> PhotoSession:
    (row,) = sessions(of)
    return row


def stood(of: str = ADA) -> list[tuple[str, int]]:
    return [(row.state, len(row.media_ids)) for row in sessions(of)]


def replies_of(row: PhotoSession, *, queued: bool = False) -> list[str]:
    items = (
        row.outbox.filter(state=OutboxItem.State.QUEUED) if queued else row.outbox.all()
    )
    return sorted(item.kind for item in items)


def second_of(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp() - SENT


def age(row: PhotoSession, seconds: int) -> None:
    """As if the last of it had reached us so long ago."""
    long_ago = datetime.now(UTC) - timedelta(seconds=seconds)
    PhotoSession.objects.filter(id=row.id).update(last_received_at=long_ago)
    Contact.objects.get(id=row.contact_id).messages.update(received_at=long_ago)


def told(of: str) -> list[Json]:
    return [
        text(second, body, of=of) if body else picture(second, of=of)
        for second, body in STORY
    ]


# --- what has proved wrong ----------------------------------------------------------------


def submitted(shop: Shop) -> PhotoSession:
    """Two photos, passed on and confirmed to the contact."""
    receive(picture(0), picture(2), text(5, "done"), text(9, "none"))
    outbox.send_due()
    assert len(shop.received) == 1
    return one()


# --- what is no photo ---------------------------------------------------------------------


def kind(second: int, type: str, body: Json) -> Json:
    id = f"wamid.{type}.{second}"
    return {
        "from": ADA.removeprefix("whatsapp:+"),
        "id": id,
        "timestamp": str(SENT + second),
        "type": type,
        type: body,
    }
