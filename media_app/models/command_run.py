"""The runs of operators' commands: one at a time of each, and a row of each for staff."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from media_app.timing import COMMAND_LEASE

if TYPE_CHECKING:
    from uuid import UUID


class CommandRunQuerySet(models.QuerySet["CommandRun"]):
    def begin(self, command: str, *, started_by: str, arguments: str) -> UUID | None:
        """Record a run and lease its command; None while another run holds the lease.

        A run whose lease has expired was killed: it is recorded as interrupted.
        """
        run = CommandRun(command=command, started_by=started_by, arguments=arguments)
        killed = self.filter(
            command=command, state=CommandRun.State.RUNNING, lease_until__lt=Now()
        )
        killed.update(state=CommandRun.State.INTERRUPTED, ended_at=Now())
        run.lease_until = Now() + COMMAND_LEASE
        try:
            with transaction.atomic():
                run.save(force_insert=True)
        except IntegrityError:
            return None
        return run.id

    def running(self, id: UUID) -> CommandRunQuerySet:
        return self.filter(id=id, state=CommandRun.State.RUNNING)

    def renew(self, id: UUID) -> bool:
        """Prolong the lease; False when the run was recorded as interrupted, because it had
        expired.
        """
        if self.running(id).update(lease_until=Now() + COMMAND_LEASE):
            return True
        # A run that this connection can't see is in the caller's own transaction.
        return not self.filter(id=id).exists()

    def end(
        self,
        id: UUID,
        state: CommandRun.State,
        *,
        counts: Mapping[str, int],
        reason: str = "",
        plan_digest: str = "",
        lines: Iterable[str] = (),
    ) -> None:
        """Record how the run ended. Does nothing to a run that has lost its lease."""
        self.running(id).update(
            state=state,
            ended_at=Now(),
            counts=dict(counts),
            reason=reason,
            plan_digest=plan_digest,
            lines="\n".join(lines),
        )


class CommandRun(models.Model):
    """One run of an operator's command. It holds no personal data."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        PARTLY = "partly", "done in part"
        FAILED = "failed", "failed"
        REFUSED = "refused", "refused"
        INTERRUPTED = "interrupted", "interrupted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    command = models.CharField(max_length=64)
    arguments = models.TextField(
        blank=True, help_text="Without names, numbers and paths."
    )
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    counts = models.JSONField(default=dict, blank=True)
    reason = models.TextField(
        blank=True, help_text="Why it was refused, or what failed."
    )
    plan_digest = models.CharField(
        max_length=64, blank=True, help_text="sha256 of the plan it wrote or applied."
    )
    lines = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="The last lines that have no personal data.",
    )
    lease_until = models.DateTimeField()

    objects = CommandRunQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["command"],
                condition=Q(state="running"),
                name="one_run_of_a_command",
            )
        ]

    def __str__(self) -> str:
        return self.command
