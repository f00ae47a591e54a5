"""The tables of the hub as a whole."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class WriteProbe(models.Model):
    """One row, which ``/readyz`` writes again and again to see that the database takes writes."""

    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        # Nobody is given rights to it, and no page shows it.
        default_permissions = ()

    def __str__(self) -> str:
        return f"written {self.written_at:%Y-%m-%d %H:%M:%S}"


class LoginTries(models.Model):
    """How often somebody has tried to log in since a moment (``mediahub.login``)."""

    #: A digest of who: an address, or an account and an address.
    key = models.CharField(max_length=64, primary_key=True)
    tries = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.tries} tries since {self.since:%Y-%m-%d %H:%M:%S}"
