"""The stored rows as plain data to be compared: without times of receipt and queue times."""

from __future__ import annotations

from typing import Any

from django.db import models

from media_app.models import Media
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    DeliveryNotice,
    Message,
    MessageStatus,
    MessageVersion,
    QuarantinedItem,
)

# Which of two deliveries with the same message came first is a fact of receipt.
_OF_RECEIPT: dict[type[models.Model], set[str]] = {
    Contact: set(),
    ContactOwner: set(),
    Message: {"received_at", "delivery_id"},
    Attachment: {"id"},
    Media: {"announced_at", "give_up_at", "next_attempt_at", "queued_until"},
    MessageStatus: set(),
    MessageVersion: {"received_at", "delivery_id"},
    QuarantinedItem: {"found_at"},
    DeliveryNotice: {"found_at"},
}

Rows = dict[str, list[dict[str, Any]]]


def all_rows() -> Rows:
    """Every row of every table that is read from deliveries, in an order of its own."""
    return {
        model.__name__: _rows(model, hidden) for model, hidden in _OF_RECEIPT.items()
    }


def _rows(model: type[models.Model], hidden: set[str]) -> list[dict[str, Any]]:
    rows = [
        {name: value for name, value in row.items() if name not in hidden}
        for row in model._base_manager.values()
    ]
    return sorted(rows, key=repr)
