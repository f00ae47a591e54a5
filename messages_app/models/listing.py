"""How far the lists of messages were read that providers keep."""

from __future__ import annotations

from datetime import datetime

from django.db import models


class MessageListing(models.Model):
    """Until when all that an account's list has was read."""

    provider = models.CharField(max_length=32)
    account = models.TextField()
    read_until = models.DateTimeField(
        help_text="Messages that were sent before then are known."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "account"], name="one_listing_of_an_account"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.account}"

    @classmethod
    def read_until_of(cls, provider: str, account: str) -> datetime | None:
        """None where the list was never read."""
        rows = cls.objects.filter(provider=provider, account=account)
        return rows.values_list("read_until", flat=True).first()

    @classmethod
    def note_read(cls, provider: str, account: str, until: datetime) -> None:
        cls.objects.update_or_create(
            provider=provider, account=account, defaults={"read_until": until}
        )
