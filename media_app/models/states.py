"""How far a file has come, and why a rejected one was not accepted."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    PENDING = "pending", "waiting"
    FETCHING = "fetching", "being fetched"
    STORED = "stored", "stored"
    RETRYING = "retrying", "trying again"
    EXPIRED = "expired", "expired at the provider"
    REJECTED = "rejected", "not accepted"
    MISSING = "missing", "missing from storage"
    DELETED = "deleted", "deleted"


#: Files that will be fetched, or are being fetched.
WAITING = (State.PENDING, State.FETCHING, State.RETRYING)
#: Files that are no longer fetched, and are not deleted.
GIVEN_UP = (State.EXPIRED, State.REJECTED, State.MISSING)
#: Files that a new message, or staff, make pending again.
REVIVABLE = (State.EXPIRED, State.REJECTED, State.MISSING, State.DELETED)


class Failure(models.TextChoices):
    """For programs; ``Media.last_error`` is the text for people."""

    TOO_LARGE = "too_large", "larger than MEDIA_MAX_BYTES"
    WRONG_BYTES = "wrong_bytes", "not the announced bytes"
    FORBIDDEN = "forbidden", "refused by the provider"
    REFUSED_ADDRESS = "refused_address", "at an address that may not be called"
    WORKER_LOST = "worker_lost", "its workers were lost"
    NOT_PASSED_ON = "not_passed_on", "not passed on by the provider"
