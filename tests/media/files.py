"""Files on each stage of their way, in short words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from media_app.announce import Announcement, announce
from media_app.models import Lease, Media
from simulator.content import Kind, content

OWNER = "whatsapp:+14335551212"
PHOTO = content(Kind.PHOTO, 1)
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


def claimed() -> Lease:
    """The most urgent file that is due, claimed."""
    lease = Media.objects.claim()
    assert lease is not None
    return lease


def mark_stored(lease: Lease, **found: Any) -> bool:
    """As a worker does that has put a small photo; ``found`` says otherwise."""
    said = {
        "key": lease.media.key,
        "sha256": "0" * 64,
        "size": 6,
        "content_type": "image/jpeg",
        "type_differs": False,
    }
    return Media.objects.mark_stored(lease, **{**said, **found})


def run_out(**clock: timedelta) -> None:
    """Let these clocks of all rows have ended so long ago."""
    Media.objects.update(**{name: Now() - ago for name, ago in clock.items()})


def lease_runs_out() -> None:
    run_out(lease_until=timedelta(seconds=1))
