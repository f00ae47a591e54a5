"""What became of each attempt to fetch a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Subquery
from django.db.models.functions import Now

if TYPE_CHECKING:
    from uuid import UUID

# A storage that is down is tried again and again: older attempts are deleted.
MAX_PER_FILE = 50


class FetchAttempt(models.Model):
    """One attempt that ended: it shows staff why a file is not there."""

    class Outcome(models.TextChoices):
        STORED = "stored", "stored"
        FAILED = "failed", "failed"
        LOST = "lost", "the worker was lost"

    media = models.ForeignKey(
        "media_app.Media", on_delete=models.CASCADE, related_name="fetch_attempts"
    )
    number = models.PositiveIntegerField(
        help_text="The file's attempts so far; an attempt that does not count repeats the number."
    )
    ended_at = models.DateTimeField(db_default=Now())
    seconds = models.FloatField(
        null=True, help_text="How long it took; empty where the worker was lost."
    )
    outcome = models.CharField(max_length=16, choices=Outcome)
    answer = models.TextField(
        blank=True,
        help_text="What the provider, the storage or the hub answered.",
    )

    class Meta:
        ordering = ("-ended_at", "-id")
        indexes = [models.Index(fields=["media", "-ended_at"], name="attempt_by_media")]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"

    @classmethod
    def forget_old(cls, media_id: UUID) -> None:
        """Delete all but the newest MAX_PER_FILE attempts of one file. Counted by rows: numbers may
        repeat.
        """
        of_file = cls.objects.filter(media_id=media_id)
        newest_too_many = of_file.order_by("-id").values("id")[
            MAX_PER_FILE : MAX_PER_FILE + 1
        ]
        of_file.filter(id__lte=Subquery(newest_too_many)).delete()
