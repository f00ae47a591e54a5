"""Photo sessions: a contact sends photos for one purpose, and says when they are complete."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from messages_app.models.contact import Contact

_OPEN = ("collecting", "awaiting_details")


class PhotoSession(models.Model):
    """One session, as the rules make it from messages. A rebuild overwrites everything but its id
    and what staff decided.
    """

    class State(models.TextChoices):
        COLLECTING = "collecting", "collecting photos"
        AWAITING_DETAILS = "awaiting_details", "awaiting details"
        SUBMITTED = "submitted", "submitted"
        EXPIRED = "expired", "expired"
        CANCELLED = "cancelled", "cancelled"

    class Verb(models.TextChoices):
        CLOSE = "close", "closed by staff"
        CANCEL = "cancel", "cancelled by staff"

    OPEN = (State.COLLECTING, State.AWAITING_DETAILS)

    # uuid5 of "session|anchor_id".
    id = models.UUIDField(primary_key=True, editable=False)
    anchor_id = models.UUIDField(
        unique=True, help_text="The message that its id is computed from."
    )
    contact = models.ForeignKey(
        Contact, on_delete=models.PROTECT, related_name="sessions"
    )
    # The number of the business, as its messages name it.
    provider = models.CharField(max_length=32)
    account = models.TextField(blank=True)
    business = models.CharField(max_length=200, blank=True)
    owner = models.CharField(
        max_length=200, help_text="Where the contact wrote from last: replies go there."
    )
    state = models.CharField(max_length=16, choices=State, default=State.COLLECTING)
    is_reset = models.BooleanField(
        default=False, help_text="The contact asked for its photos to be deleted."
    )
    is_unanswered = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The contact never answered the question for details: it was submitted "
        "without them.",
    )
    started_at = models.DateTimeField()
    last_at = models.DateTimeField(help_text="The latest message, by its own time.")
    last_received_at = models.DateTimeField(
        help_text="The latest message, by the time it reached us."
    )
    done_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    details = models.TextField(blank=True)
    # Derived, in order: its messages, and the files in it.
    message_ids = models.JSONField(default=list)
    media_ids = models.JSONField(default=list)
    is_settled = models.BooleanField(
        default=True, help_text="None of its photos is on its way any more."
    )
    looked_at = models.DateTimeField(
        db_default=Now(), help_text="When the sweeper looked at it last."
    )
    # A decision is handled like a message of its time.
    staff_verb = models.CharField(max_length=8, choices=Verb, blank=True)
    staff_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-started_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "provider", "account", "business"],
                condition=Q(state__in=_OPEN),
                name="session_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["-started_at", "id"], name="session_newest"),
            models.Index(fields=["contact", "-started_at"], name="session_by_contact"),
            models.Index(
                fields=["last_at"],
                name="session_open",
                condition=Q(state__in=("collecting", "awaiting_details")),
            ),
            models.Index(
                fields=["looked_at", "id"],
                name="session_to_settle",
                condition=Q(is_settled=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%d %b %Y, %H:%M}, {self.get_state_display()}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN
