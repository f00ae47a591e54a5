"""Messages with their files, versions and statuses."""

from __future__ import annotations

from django.db import models

from messages_app.models.contact import Contact
from messages_app.models.delivery import Delivery


class MessageQuerySet(models.QuerySet["Message"]):
    def live(self) -> MessageQuerySet:
        """Messages of contacts to the business, outside groups and not from the history: only these
        belong to sessions and are answered.
        """
        return self.filter(
            direction=Message.Direction.RECEIVED,
            origin=Message.Origin.LIVE,
            group_id="",
        )


class Message(models.Model):
    """A message of a contact, or of the business to them."""

    class Direction(models.TextChoices):
        RECEIVED = "received", "received"
        SENT = "sent", "sent"

    class Origin(models.TextChoices):
        LIVE = "live", "live"
        STANDBY = "standby", "while another app held the conversation"
        HISTORY = "history", "from the history of the business's phone"
        ECHO = "echo", "from the business's phone"
        LISTED = "listed", "from the provider's list of messages"

    # uuid5 of "provider|account|provider message id".
    id = models.UUIDField(primary_key=True, editable=False)
    provider = models.CharField(max_length=32)
    account = models.TextField(blank=True)
    provider_message_id = models.TextField(db_index=True)
    contact = models.ForeignKey(
        Contact,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="messages",
    )
    direction = models.CharField(
        max_length=16,
        choices=Direction,
        default=Direction.RECEIVED,
        db_default=Direction.RECEIVED,
    )
    origin = models.CharField(
        max_length=16,
        choices=Origin,
        default=Origin.LIVE,
        db_default=Origin.LIVE,
        help_text="How the hub came to know of it.",
    )
    owner = models.CharField(
        max_length=200, blank=True, help_text="The address it was sent from."
    )
    group_id = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="The provider's id of the group that it was said in.",
    )
    business = models.CharField(
        max_length=200,
        blank=True,
        help_text="The business's number that it was sent to, or from.",
    )
    kind = models.CharField(max_length=32)
    text = models.TextField(blank=True)
    payload = models.TextField(
        blank=True, help_text="What a pressed button or chosen row stands for."
    )
    refers_to = models.TextField(
        blank=True,
        db_index=True,
        help_text="The provider's id of the message it is about.",
    )
    errors = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="What the provider says went wrong with it.",
    )
    occurred_at = models.DateTimeField()
    time_assumed = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    delivery = models.ForeignKey(
        Delivery, null=True, on_delete=models.SET_NULL, related_name="messages"
    )
    raw = models.JSONField(default=dict)
    media = models.ManyToManyField(
        "media_app.Media", through="Attachment", related_name="messages"
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("-occurred_at", "id")
        indexes = [
            models.Index(fields=["-occurred_at", "id"], name="message_newest"),
            models.Index(fields=["contact", "-occurred_at"], name="message_by_contact"),
            # Few messages are sent in groups: the others cost this index nothing.
            models.Index(
                fields=["group_id", "-occurred_at"],
                name="message_by_group",
                condition=models.Q(group_id__gt=""),
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80] or self.kind

    @property
    def is_sent(self) -> bool:
        return self.direction == self.Direction.SENT


class Attachment(models.Model):
    """A file in its place in a message. It links the two apps."""

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="attachments"
    )
    position = models.PositiveSmallIntegerField()
    media = models.ForeignKey(
        "media_app.Media", on_delete=models.PROTECT, related_name="attachments"
    )

    class Meta:
        ordering = ("message", "position")
        constraints = [
            models.UniqueConstraint(
                fields=["message", "position"], name="attachment_place"
            )
        ]

    def __str__(self) -> str:
        return f"{self.message_id} [{self.position}]"


class MessageVersion(models.Model):
    """One of several different contents that came under one message id. All are stored; the message
    shows one.
    """

    # uuid5 of "version|id of the message|digest of the content".
    id = models.UUIDField(primary_key=True, editable=False)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="versions"
    )
    digest = models.CharField(max_length=64)
    origin = models.CharField(max_length=16, choices=Message.Origin)
    kind = models.CharField(max_length=32)
    text = models.TextField(blank=True)
    payload = models.TextField(blank=True)
    refers_to = models.TextField(blank=True)
    errors = models.TextField(blank=True)
    media_ids = models.JSONField(default=list)
    received_at = models.DateTimeField()
    delivery = models.ForeignKey(
        Delivery, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    raw = models.JSONField(default=dict)

    class Meta:
        ordering = ("message", "received_at", "id")

    def __str__(self) -> str:
        return self.text[:80] or self.kind


class MessageStatus(models.Model):
    """One status of a message of the business. Stored whether or not the message is known yet.

    Statuses are only added, so a message cannot move backwards: its status is the one of the
    highest rank.
    """

    # uuid5 of "status|provider|account|provider message id|status", and "|recipient" for a
    # participant of a group.
    id = models.UUIDField(primary_key=True, editable=False)
    # The id the message has or will have; no foreign key, because it may come later.
    message_id = models.UUIDField(db_index=True)
    status = models.CharField(max_length=32)
    rank = models.PositiveSmallIntegerField()
    occurred_at = models.DateTimeField()
    # No index on these: statuses are the most numerous rows, and staff look for one now and then.
    provider_message_id = models.TextField(blank=True, default="", db_default="")
    recipient = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The address that it was sent to.",
    )
    group_id = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="The provider's id of the group that it was sent to.",
    )
    category = models.CharField(
        "price category",
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="What the provider charges it as.",
    )
    error = models.TextField(blank=True)
    reference = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "message statuses"
        ordering = ("message_id", "-rank")

    def __str__(self) -> str:
        return self.status
