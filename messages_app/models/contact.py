"""Who writes to the business."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F

from media_app.identity import owner_name


class ContactQuerySet(models.QuerySet["Contact"]):
    def hold(self, is_held: bool) -> int:
        """Protect all that these contacts sent from being deleted, or no longer. Returns how many
        contacts it changed.
        """
        return self.exclude(is_held=is_held).update(is_held=is_held)


class Contact(models.Model):
    """A person who writes to the business, whatever numbers or hidden ids they write from."""

    # uuid5 of "contact|owner" for the smallest such id among its owners: the same in any order of
    # arrival.
    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=255, blank=True)
    named_at = models.DateTimeField(
        null=True, blank=True, help_text="When the name was last seen."
    )
    is_held = models.BooleanField(
        default=False,
        verbose_name="on hold",
        help_text="Nothing that they sent is deleted, whoever asks for it.",
    )
    last_message_at = models.DateTimeField(null=True, blank=True, db_index=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        ordering = (F("last_message_at").desc(nulls_last=True), "id")

    def __str__(self) -> str:
        return self.name or str(self.id)

    def update_forward(
        self, name: str, named_at: datetime | None, last_message_at: datetime | None
    ) -> None:
        """Set a name and a time where they are later. At equal times the greater name wins."""
        if (
            name
            and named_at
            and (self.named_at is None or (named_at, name) > (self.named_at, self.name))
        ):
            self.name, self.named_at = name, named_at
        if last_message_at and (
            self.last_message_at is None or last_message_at > self.last_message_at
        ):
            self.last_message_at = last_message_at


class ContactOwner(models.Model):
    """One address of a contact: ``whatsapp:+E164``, the hidden id that WhatsApp gives instead,
    ``sms:+E164``, …
    """

    owner = models.CharField(primary_key=True, max_length=200)
    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="owners"
    )

    class Meta:
        ordering = ("owner",)

    def __str__(self) -> str:
        return owner_name(self.owner)
