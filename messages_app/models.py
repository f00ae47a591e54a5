"""What was said: raw deliveries, and the contacts, messages and attachments read from them."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import nullcontext
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from django.db import connections, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from uuid import UUID


# Spelled out: the ORM can't count up on conflict, and takes three times as long for one row.
_KEEP = """
    INSERT INTO messages_app_delivery (id, endpoint, content_type, query, body) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (id) DO UPDATE SET
        times_seen = messages_app_delivery.times_seen + 1, last_seen_at = excluded.last_seen_at
"""

_turn = Lock()


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """The verbs of the inbox."""

    def keep(self, *, endpoint: str, content_type: str, query: str, body: bytes) -> None:
        """Commit a request as it came; one seen before only counts up. One INSERT, no more: senders wait for it.

        Raises django.db.Error when it could not be committed.
        """
        id = hashlib.sha256(endpoint.encode() + b"|" + body).hexdigest()
        connection = connections[self.db]
        connection.ensure_connection()
        # SQLite's writers sleep and race for its one lock; in a line of our own each waits its turn.
        with _turn if connection.vendor == "sqlite" else nullcontext(), connection.cursor() as cursor:
            cursor.execute(_KEEP, [id, endpoint, content_type[:200], query, body])

    def due(self) -> DeliveryQuerySet:
        """Deliveries not read yet, the oldest first."""
        return self.filter(state=Delivery.State.RECEIVED).order_by("received_at", "id")

    def replay(self) -> int:
        """Read these again from their raw bytes. Returns how many."""
        return self.update(state=Delivery.State.RECEIVED, attempts=0, last_error="")


class Delivery(models.Model):
    """One webhook request as it came. Truth: everything above can be read from it again."""

    class State(models.TextChoices):
        RECEIVED = "received", "not read yet"
        PROCESSED = "processed", "read"
        PARTIAL = "partial", "read in part"
        FAILED = "failed", "unreadable"

    # sha256 of "endpoint|body": the same request is the same row.
    id = models.CharField(primary_key=True, max_length=64, editable=False)
    endpoint = models.CharField(max_length=32)
    content_type = models.CharField(max_length=200, blank=True)
    query = models.TextField(blank=True)
    body = models.BinaryField()
    received_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    times_seen = models.PositiveIntegerField(default=1, db_default=1)
    state = models.CharField(max_length=16, choices=State, default=State.RECEIVED, db_default=State.RECEIVED)
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    last_error = models.TextField(blank=True, db_default="")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-received_at", "id")
        indexes = [
            models.Index(fields=["-received_at", "id"], name="delivery_newest"),
            models.Index(fields=["received_at", "id"], name="delivery_due", condition=Q(state="received")),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.id[:12]}"


class QuarantinedItem(models.Model):
    """A part of a delivery that could not be read. Its neighbours were; it can be replayed."""

    # uuid5 of delivery and path: a second failure is the same item.
    id = models.UUIDField(primary_key=True, editable=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="quarantined")
    path = models.CharField(
        max_length=255, blank=True, help_text="Where it stands in the delivery; empty for all of it."
    )
    error = models.TextField()
    payload = models.JSONField(null=True)
    found_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-found_at", "id")

    def __str__(self) -> str:
        return self.path or "the whole body"


class DrainLease(models.Model):
    """The one row that says who drains the inbox. There is one drainer at a time."""

    DURATION = timedelta(seconds=45)

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    token = models.UUIDField(null=True)
    until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"until {self.until}"

    @classmethod
    def take(cls) -> UUID | None:
        """The token of a fresh lease, or None while somebody else has it."""
        token = uuid.uuid4()
        if cls._take(token) or (cls.objects.get_or_create(id=1)[1] and cls._take(token)):
            return token
        return None

    @classmethod
    def _take(cls, token: UUID) -> bool:
        free = cls.objects.filter(Q(until=None) | Q(until__lt=Now()), id=1)
        # Looked at first, and no waiting for its lock: its holder may be in the middle of a batch.
        if not free.exists():
            return False
        with transaction.atomic():
            unlocked = bool(free.select_for_update(skip_locked=True))
            return unlocked and free.update(token=token, until=Now() + cls.DURATION) == 1

    @classmethod
    def renew(cls, token: UUID) -> bool:
        """Prolong it; False when it was lost. Nobody else can take it before the caller's transaction ends."""
        return cls.objects.filter(id=1, token=token).update(until=Now() + cls.DURATION) == 1

    @classmethod
    def release(cls, token: UUID) -> None:
        cls.objects.filter(id=1, token=token).update(token=None, until=None)


class Contact(models.Model):
    """A person who writes to the business, whatever numbers or hidden ids they write from."""

    # uuid5 of "contact|owner" for the smallest such id among its owners: the same in any order of arrival.
    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=255, blank=True)
    named_at = models.DateTimeField(null=True, blank=True, help_text="When the name was last seen.")
    last_message_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = (F("last_message_at").desc(nulls_last=True), "id")

    def __str__(self) -> str:
        return self.name or str(self.id)

    def absorb(self, name: str, named_at: datetime | None, last_message_at: datetime | None) -> None:
        """Take over a name and a time where they are later; equal times are settled by the name itself."""
        if name and named_at and (self.named_at is None or (named_at, name) > (self.named_at, self.name)):
            self.name, self.named_at = name, named_at
        if last_message_at and (self.last_message_at is None or last_message_at > self.last_message_at):
            self.last_message_at = last_message_at


class ContactOwner(models.Model):
    """One address of a contact: ``whatsapp:+E164``, or the hidden id that WhatsApp gives instead."""

    owner = models.CharField(primary_key=True, max_length=200)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="owners")

    class Meta:
        ordering = ("owner",)

    def __str__(self) -> str:
        return self.owner.removeprefix("whatsapp:")


class Message(models.Model):
    """One thing a contact said."""

    # uuid5 of "provider|account|provider message id".
    id = models.UUIDField(primary_key=True, editable=False)
    provider = models.CharField(max_length=32)
    account = models.TextField(blank=True)
    provider_message_id = models.TextField(db_index=True)
    contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.PROTECT, related_name="messages")
    owner = models.CharField(max_length=200, blank=True, help_text="The address it was sent from.")
    business = models.CharField(max_length=200, blank=True, help_text="The business's number it was sent to.")
    kind = models.CharField(max_length=32)
    text = models.TextField(blank=True)
    payload = models.TextField(blank=True, help_text="What a pressed button or chosen row stands for.")
    refers_to = models.TextField(blank=True, db_index=True, help_text="The provider's id of the message it is about.")
    occurred_at = models.DateTimeField()
    time_assumed = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="messages")
    raw = models.JSONField(default=dict)
    media = models.ManyToManyField("media_app.Media", through="Attachment", related_name="messages")

    class Meta:
        ordering = ("-occurred_at", "id")
        indexes = [
            models.Index(fields=["-occurred_at", "id"], name="message_newest"),
            models.Index(fields=["contact", "-occurred_at"], name="message_by_contact"),
        ]

    def __str__(self) -> str:
        return self.text[:80] or self.kind


class Attachment(models.Model):
    """A file in its place in a message: the one bridge between the two floors."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attachments")
    position = models.PositiveSmallIntegerField()
    media = models.ForeignKey("media_app.Media", on_delete=models.PROTECT, related_name="attachments")

    class Meta:
        ordering = ("message", "position")
        constraints = [models.UniqueConstraint(fields=["message", "position"], name="attachment_place")]

    def __str__(self) -> str:
        return f"{self.message_id} [{self.position}]"


class MessageStatus(models.Model):
    """One step that a message of the business has come. Kept whether or not the message is known yet.

    Steps are only ever added, so a message cannot move backwards: where it stands is
    its step of the highest rank.
    """

    # uuid5 of "status|provider|account|provider message id|status".
    id = models.UUIDField(primary_key=True, editable=False)
    # The id the message has or will have; no foreign key, because it may come later.
    message_id = models.UUIDField(db_index=True)
    status = models.CharField(max_length=32)
    rank = models.PositiveSmallIntegerField()
    occurred_at = models.DateTimeField()
    error = models.TextField(blank=True)
    reference = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "message statuses"
        ordering = ("message_id", "-rank")

    def __str__(self) -> str:
        return self.status
