"""Webhooks that were refused although they are signed: mostly by a wrong setting of ours."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from messages_app.timing import REFUSAL_COUNT_PERIOD


class WebhookRefusal(models.Model):
    """How often an endpoint has refused webhooks for one cause, and when last. A day without one
    ends the count.
    """

    endpoint = models.CharField(max_length=32)
    #: One of ``providers.Cause``.
    cause = models.CharField(max_length=32)
    reason = models.TextField(help_text="Of the last one.")
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "cause"], name="refusal_once")
        ]

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.cause}"

    @classmethod
    def record(
        cls, endpoint: str, cause: str, reason: str, times: int, *, using: str
    ) -> None:
        """Count some more, over this database connection. Raises django.db.Error."""
        rows = cls.objects.using(using)
        rows.filter(last_at__lt=Now() - REFUSAL_COUNT_PERIOD).delete()
        row, _ = rows.get_or_create(
            endpoint=endpoint, cause=cause, defaults={"reason": reason}
        )
        rows.filter(pk=row.pk).update(
            count=F("count") + times, reason=reason, last_at=Now()
        )
