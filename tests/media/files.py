"""Announcements, in short words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction

from media_app.announce import Announcement, announce
from media_app.models import Media

OWNER = "whatsapp:+14335551212"
_ids = count(10**15)


class Announced(Protocol):
    def __call__(self, **words: Any) -> Media: ...


class Sent(Protocol):
    def __call__(self, source: str = ..., kind: Any = ..., **words: Any) -> Media: ...


class Stored(Protocol):
    def __call__(self, body: bytes, content_type: str = ..., **words: Any) -> Media: ...


def announcement(**words: Any) -> Announcement:
    """A photo by Meta that nobody has heard of yet; ``words`` say otherwise."""
    now = datetime.now(UTC)
    said = {
        "source": "meta",
        "account": "106540352242922",
        "provider_media_id": str(next(_ids)),
        "provider_message_id": "wamid.1",
        "position": 0,
        "owner": OWNER,
        "occurred_at": now,
        "time_assumed": False,
        "announced_at": now,
        "content_type": "image/jpeg",
    }
    return Announcement(**{**said, **words})


def keep(*announcements: Announcement, new: Collection[UUID] = ()) -> None:
    """Announce in a transaction, as the inbox does."""
    with transaction.atomic():
        announce(announcements, new=new)
