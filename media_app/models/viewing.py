"""Who of the staff has looked at which file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models.functions import Now

from media_app.inserts import insert_once
from media_app.timing import VIEWING_LENGTH

if TYPE_CHECKING:
    from uuid import UUID


class ViewingManager(models.Manager["Viewing"]):
    def record(self, media_id: UUID, user: User, kind: Viewing.Kind) -> None:
        """Record that ``user`` has seen the file, once within half an hour."""
        seen = self.filter(media_id=media_id, user=user, kind=kind)
        if seen.filter(at__gt=Now() - VIEWING_LENGTH).exists():
            return
        # Ranges that are requested at once find no row yet: the slot makes them one.
        slot = int(time.time() // VIEWING_LENGTH.total_seconds())
        row = Viewing(
            media_id=media_id,
            user=user,
            username=user.get_username(),
            kind=kind,
            slot=slot,
        )
        insert_once(
            [row], no_op_update="slot", on=("media_id", "user_id", "kind", "slot")
        )


class Viewing(models.Model):
    """One look of one member of staff at one file, or one download."""

    class Kind(models.TextChoices):
        VIEW = "view", "viewed"
        DOWNLOAD = "download", "downloaded"

    media = models.ForeignKey(
        "media_app.Media", on_delete=models.CASCADE, related_name="viewings"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # Outlives the account.
    username = models.CharField(max_length=150)
    kind = models.CharField(max_length=8, choices=Kind)
    at = models.DateTimeField(db_default=Now())
    slot = models.BigIntegerField()

    objects = ViewingManager()

    class Meta:
        ordering = ("-at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["media", "user", "kind", "slot"], name="viewing_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.username} {self.get_kind_display()} {self.media_id}"
