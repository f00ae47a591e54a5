"""How far a file has come."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    PENDING = "pending", "waiting"
    FETCHING = "fetching", "being fetched"
    STORED = "stored", "stored"
    RETRYING = "retrying", "trying again"
    EXPIRED = "expired", "gone at the provider"
    REJECTED = "rejected", "not accepted"
    MISSING = "missing", "lost by the bucket"
    DELETED = "deleted", "deleted"


#: Files that will be fetched, or are being fetched.
WAITING = (State.PENDING, State.FETCHING, State.RETRYING)
#: Files that a new message, or staff, make pending again.
REVIVABLE = (State.EXPIRED, State.REJECTED, State.MISSING, State.DELETED)
