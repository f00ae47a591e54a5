"""Twenty images in one delivery, the third of them broken, and the reader that could read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from messages_app.providers.events import Event
from messages_app.providers.meta_envelope import Envelope
from messages_app.providers.meta_message import read_message
from simulator.deliveries import SignedRequest
from simulator.ledger import AnnouncedMessage
from tests.messages.mail import batch, meta_bytes, photo


def nested() -> list[list[list[AnnouncedMessage]]]:
    """Two entries of two changes of five images."""
    numbers = iter(range(20))
    return [
        [[photo(next(numbers)) for _ in range(5)] for _ in range(2)] for _ in range(2)
    ]


def with_third_broken() -> SignedRequest:
    whole = batch(nested())
    return meta_bytes(
        whole.body.replace(b'"image":{"id"', b'"image":{"media_id"', 3).replace(
            b'"media_id"', b'"id"', 2
        )
    )


def fixed(message: Any, envelope: Envelope) -> Sequence[Event]:
    file = message["image"]
    return read_message(
        {**message, "image": {"id": file.get("media_id"), **file}}, envelope
    )
