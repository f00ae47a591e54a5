"""What is left of erased files and messages: enough to know them when they come again."""

from __future__ import annotations

from django.db import models


class Tombstone(models.Model):
    """An id that an erasure has removed. Nobody can read from it which one: it is an HMAC."""

    # HMAC-SHA256 of the id with ERASURE_KEY, in hex (``media_app.tombstones``).
    digest = models.CharField(primary_key=True, max_length=64, editable=False)
    erasure_id = models.UUIDField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:12]
