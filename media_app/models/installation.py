"""The id that a hub shares with its storage."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class InstallationQuerySet(models.QuerySet["Installation"]):
    """The one row."""

    def current(self) -> Installation:
        """This installation. The first call makes it; concurrent calls get the same."""
        found = self.first()
        if found is None:
            self.bulk_create([Installation()], ignore_conflicts=True)
            found = self.get()
        return found

    def note_marked(self) -> None:
        """The storage has the marker: from now on only `mark_storage` writes it again."""
        self.filter(marked_at=None).update(marked_at=Now())


class Installation(models.Model):
    """This hub, by an id that its database and its storage share."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Unique and always true: there is one row.
    is_only = models.BooleanField(default=True, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    marked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the storage first had the marker."
    )

    next_share = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="Which files the next run that reads a part of them begins with.",
    )

    objects = InstallationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_only=True), name="installation_is_only_one"
            )
        ]

    def __str__(self) -> str:
        return str(self.id)
