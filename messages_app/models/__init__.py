"""The models of conversations."""

from __future__ import annotations

from messages_app.models.contact import Contact, ContactOwner
from messages_app.models.delivery import (
    Delivery,
    DeliveryNotice,
    DeliveryQuerySet,
    DrainLease,
    QuarantinedItem,
)
from messages_app.models.erasure import ErasureRequest
from messages_app.models.listing import MessageListing
from messages_app.models.message import (
    Attachment,
    Message,
    MessageStatus,
    MessageVersion,
)
from messages_app.models.outbox import OutboxItem
from messages_app.models.rebuild import SessionRebuild
from messages_app.models.refusal import WebhookRefusal
from messages_app.models.session import PhotoSession

__all__ = [
    "Attachment",
    "Contact",
    "ContactOwner",
    "Delivery",
    "DeliveryNotice",
    "DeliveryQuerySet",
    "DrainLease",
    "ErasureRequest",
    "Message",
    "MessageListing",
    "MessageStatus",
    "MessageVersion",
    "OutboxItem",
    "PhotoSession",
    "QuarantinedItem",
    "SessionRebuild",
    "WebhookRefusal",
]
