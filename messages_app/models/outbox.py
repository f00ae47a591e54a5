"""What the hub sends: replies to a contact, and summaries to the business."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from messages_app.models.session import PhotoSession


class OutboxItem(models.Model):
    """One thing to send. Created in the transaction of its cause, rendered when it is sent."""

    class State(models.TextChoices):
        QUEUED = "queued", "waiting"
        SENDING = "sending", "being sent"
        SENT = "sent", "sent"
        UNKNOWN = "unknown", "perhaps sent"
        FAILED = "failed", "not sent"

    class Kind(models.TextChoices):
        START = "start", "invitation"
        ACK = "ack", "acknowledgement"
        HINT = "hint", "hint"
        NO_PHOTOS = "no_photos", "request for photos"
        QUESTION = "question", "question for details"
        ADD = "add", "request for details"
        SUBMITTED = "submitted", "thanks"
        CANCELLED = "cancelled", "cancellation"
        RESET = "reset", "reset"
        CORRECTION = "correction", "correction"
        HAND_OVER = "hand_over", "hand-over to the business"

    # uuid5 of "session|kind|cause": what is sent once is one row.
    id = models.UUIDField(primary_key=True, editable=False)
    session = models.ForeignKey(
        PhotoSession, on_delete=models.CASCADE, related_name="outbox"
    )
    kind = models.CharField(max_length=16, choices=Kind)
    revision = models.PositiveIntegerField(
        default=0, help_text="Of a hand-over: which one of its session."
    )
    place = models.PositiveIntegerField(
        default=0, help_text="The replies of a session go out in this order."
    )
    caused_at = models.DateTimeField(
        help_text="When its cause reached us: nothing older is unread when it is sent."
    )
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    first_tried_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was tried first since it was queued: attempts are counted from then.",
    )
    sending_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    provider_message_id = models.TextField(blank=True)
    # What was sent. Of a reply: {"photos": 3, "text": "…"}.
    # Of a hand-over: its JSON body, a summary without its links (``summaries.with_links``).
    said = models.JSONField(default=dict)

    class Meta:
        verbose_name = "reply"
        verbose_name_plural = "replies"
        ordering = ("session", "place", "id")
        indexes = [
            models.Index(
                fields=["not_before", "id"],
                name="outbox_due",
                condition=Q(state="queued"),
            ),
            # The items of a session before this one: looked up for each item that is due.
            models.Index(
                fields=["session", "place"],
                name="outbox_queued_ahead",
                condition=Q(state="queued"),
            ),
            models.Index(
                fields=["sending_at"],
                name="outbox_overdue",
                condition=Q(state="sending"),
            ),
            models.Index(
                fields=["caused_at"],
                name="outbox_trouble",
                condition=Q(state__in=("failed", "unknown")),
            ),
            models.Index(fields=["-caused_at", "id"], name="outbox_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.get_state_display()}"
