"""The inbox: requests as they came, what could not be read of them, the drainer's lease."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from django.db import OperationalError, connections, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from messages_app.timing import DRAIN_LEASE, WRITER_TURN_SECONDS

if TYPE_CHECKING:
    from uuid import UUID


# In SQL: the ORM can't count on conflict, and needs three times as long for one row.
_STORE = """
    INSERT INTO messages_app_delivery (id, endpoint, content_type, query, body)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (id) DO UPDATE SET
        times_seen = messages_app_delivery.times_seen + 1, last_seen_at = excluded.last_seen_at
"""

_turn = Lock()


@contextmanager
def _own_turn(vendor: str) -> Iterator[None]:
    """SQLite's writers sleep and compete for its one lock; here those of one process wait in line.

    Raises OperationalError when the turn does not come within WRITER_TURN_SECONDS.
    """
    if vendor != "sqlite":
        yield
        return
    if not _turn.acquire(timeout=WRITER_TURN_SECONDS):
        raise OperationalError(
            "the database is locked: this process's own writers wait in a line"
        )
    try:
        yield
    finally:
        _turn.release()


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def store(
        self, *, endpoint: str, content_type: str, query: str, body: bytes
    ) -> None:
        """Commit a request as it came; one seen before is only counted. A single INSERT, because
        the provider waits for it.

        Raises django.db.Error when it could not be committed.
        """
        id = hashlib.sha256(endpoint.encode() + b"|" + body).hexdigest()
        connection = connections[self.db]
        connection.ensure_connection()
        with _own_turn(connection.vendor), connection.cursor() as cursor:
            cursor.execute(_STORE, [id, endpoint, content_type[:200], query, body])

    def due(self) -> DeliveryQuerySet:
        """Deliveries not read yet, the oldest first."""
        return self.filter(state=Delivery.State.RECEIVED).order_by("received_at", "id")

    def replay(self) -> int:
        """Read these again from their raw bytes. Returns how many."""
        return self.update(state=Delivery.State.RECEIVED, attempts=0, last_error="")


class Delivery(models.Model):
    """One webhook request as it came. All other rows can be read from it again."""

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
    state = models.CharField(
        max_length=16, choices=State, default=State.RECEIVED, db_default=State.RECEIVED
    )
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    last_error = models.TextField(blank=True, db_default="")
    erased_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When parts of its body were removed, because their sender was erased. "
        "Without a body all of it was.",
    )

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-received_at", "id")
        indexes = [
            models.Index(fields=["-received_at", "id"], name="delivery_newest"),
            models.Index(
                fields=["received_at", "id"],
                name="delivery_due",
                condition=Q(state="received"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.id[:12]}"


class QuarantinedItem(models.Model):
    """A part of a delivery that could not be read. The other parts were; it can be replayed."""

    # uuid5 of delivery and path: a second failure is the same item.
    id = models.UUIDField(primary_key=True, editable=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="quarantined"
    )
    path = models.CharField(
        max_length=255,
        blank=True,
        help_text="Where it stands in the delivery; empty for all of it.",
    )
    error = models.TextField()
    payload = models.JSONField(null=True)
    found_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-found_at", "id")

    def __str__(self) -> str:
        return self.path or "the whole body"


class DeliveryNotice(models.Model):
    """Something in a delivery that became no message: a field that nothing reads, or an error of
    the account.
    """

    # uuid5 of delivery, name and error.
    id = models.UUIDField(primary_key=True, editable=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="notices"
    )
    name = models.CharField(max_length=200, db_index=True)
    error = models.TextField(blank=True)
    has_media = models.BooleanField(
        default=False, help_text="It seems to bring a file."
    )
    times = models.PositiveIntegerField(
        default=1, help_text="How often it stands in the delivery."
    )
    found_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        verbose_name = "notice"
        ordering = ("-found_at", "id")

    def __str__(self) -> str:
        return self.error or f"ignored: {self.name}"


class DrainLease(models.Model):
    """The one row that says who drains the inbox. There is one drainer at a time."""

    DURATION = DRAIN_LEASE

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    token = models.UUIDField(null=True)
    until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"until {self.until}"

    @classmethod
    def acquire(cls) -> UUID | None:
        """The token of a new lease, or None while another drainer holds it."""
        token = uuid.uuid4()
        if cls._acquire(token):
            return token
        _, created = cls.objects.get_or_create(id=1)
        if created and cls._acquire(token):
            return token
        return None

    @classmethod
    def _acquire(cls, token: UUID) -> bool:
        free = cls.objects.filter(Q(until=None) | Q(until__lt=Now()), id=1)
        # Checked first, and without waiting for its lock: the holder may be within a batch.
        if not free.exists():
            return False
        with transaction.atomic():
            unlocked = bool(free.select_for_update(skip_locked=True))
            return (
                unlocked and free.update(token=token, until=Now() + cls.DURATION) == 1
            )

    @classmethod
    def renew(cls, token: UUID) -> bool:
        """Prolong it; False when it was lost. Nobody else can acquire it before the caller's
        transaction ends.
        """
        return (
            cls.objects.filter(id=1, token=token).update(until=Now() + cls.DURATION)
            == 1
        )

    @classmethod
    def release(cls, token: UUID) -> None:
        cls.objects.filter(id=1, token=token).update(token=None, until=None)
