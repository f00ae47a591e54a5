"""Requests to erase a person: kept until all is erased, and after it as a certificate."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from messages_app.timing import ERASURE_LEASE

if TYPE_CHECKING:
    from uuid import UUID


class ErasureRequestQuerySet(models.QuerySet["ErasureRequest"]):
    def open(self) -> ErasureRequestQuerySet:
        """Those that are not done, the first to be due first."""
        return self.exclude(state=ErasureRequest.State.DONE).order_by("due_at", "id")

    def waiting(self) -> ErasureRequestQuerySet:
        """Those that can't go on now."""
        return self.open().filter(state=ErasureRequest.State.WAITING)

    def claim(self, id: UUID) -> UUID | None:
        """The token of a lease on an open request; None while another process works on it."""
        token = uuid.uuid4()
        free = Q(lease_until=None) | Q(lease_until__lt=Now())
        claimed = self.open().filter(free, id=id).order_by()
        leased = claimed.update(
            state=ErasureRequest.State.RUNNING,
            lease_token=token,
            lease_until=Now() + ERASURE_LEASE,
        )
        return token if leased else None

    def held(self, id: UUID, token: UUID) -> ErasureRequestQuerySet:
        return self.filter(id=id, lease_token=token)

    def renew(self, id: UUID, token: UUID) -> bool:
        """Prolong the lease; False when it was lost."""
        return self.held(id, token).update(lease_until=Now() + ERASURE_LEASE) == 1

    def release(self, id: UUID, token: UUID, **values: object) -> None:
        """End the lease, with what else is to be saved. Does nothing when it was lost."""
        self.held(id, token).update(lease_token=None, lease_until=None, **values)


class ErasureRequest(models.Model):
    """One person to be erased, and how far that has come.

    When it is done it names nobody: what is left of the person are HMACs.
    """

    class State(models.TextChoices):
        RUNNING = "running", "being carried out"
        WAITING = "waiting", "waiting"
        DONE = "done", "done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.CharField(max_length=200, blank=True)
    requested_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(help_text="What reached the hub later is not erased.")
    due_at = models.DateTimeField(help_text="By when the law wants it done.")
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    reason = models.TextField(blank=True, help_text="Why it waits.")
    owners = models.JSONField(
        default=list, blank=True, help_text="Whom to erase; empty when it is done."
    )
    # HMACs of the owners (``media_app.tombstones``): a restored backup is searched for them.
    owner_digests = models.JSONField(default=list, blank=True)
    key_id = models.CharField(
        max_length=16, help_text="Tells which ERASURE_KEY the HMACs were made with."
    )
    counts = models.JSONField(default=dict, blank=True)
    # The last message that the provider was asked to delete.
    asked_until = models.UUIDField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    certificate = models.JSONField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = ErasureRequestQuerySet.as_manager()

    class Meta:
        verbose_name = "erasure"
        ordering = ("-requested_at", "id")

    def __str__(self) -> str:
        return f"{self.requested_at:%d %b %Y}, {self.get_state_display()}"

    @property
    def is_done(self) -> bool:
        return self.state == self.State.DONE

    def add_counts(self, counts: Counter[str], **values: object) -> None:
        """Add to what was erased, with what else is to be saved."""
        with transaction.atomic():
            row = ErasureRequest.objects.select_for_update().get(id=self.id)
            self.counts = dict(Counter(row.counts) + counts)
            ErasureRequest.objects.filter(id=self.id).update(
                counts=self.counts, **values
            )
