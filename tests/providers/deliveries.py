"""Deliveries as the providers send them: a file for each kind of message and for each accident, all
invented.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from messages_app.providers import provider
from messages_app.providers.base import RawDelivery
from messages_app.providers.events import (
    ContactNamed,
    Event,
    Noticed,
    OwnersLinked,
    Unreadable,
)

HERE = Path(__file__).parent
RECEIVED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
#: The time that the files give their messages.
SENT = RECEIVED - timedelta(seconds=10)
ADA = "whatsapp:+14335551212"
ADA_HIDDEN = "whatsapp:US.4815162342"
BOB = "whatsapp:+15550002222"


def labels(folder: str) -> set[str]:
    """The names of all files of a provider."""
    return {path.stem for path in (HERE / folder).iterdir()}


def body(folder: str, label: str) -> bytes:
    (path,) = (HERE / folder).glob(f"{label}.*")
    return path.read_bytes()


def delivery(raw: bytes, endpoint: str) -> RawDelivery:
    return RawDelivery(
        endpoint=endpoint, content_type="", query="", body=raw, received_at=RECEIVED
    )


def read(raw: bytes, endpoint: str) -> list[Event]:
    """All that a body says, arriving at an endpoint; ``twilio-status`` is Twilio's second one."""
    return list(provider(endpoint.partition("-")[0]).read(delivery(raw, endpoint)))


def bare(events: Iterable[Event]) -> list[Event]:
    """Events without what was copied from the delivery, to be compared."""
    return [_bare(event) for event in events]


def _bare(event: Event) -> Event:
    if isinstance(event, Unreadable):
        return replace(event, payload=None)
    return (
        event
        if isinstance(event, OwnersLinked | ContactNamed | Noticed)
        else replace(event, raw={})
    )
