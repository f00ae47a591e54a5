"""Conversations with messages that are not in their sessions yet."""

from __future__ import annotations

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from media_app.models import Media
from messages_app.models.contact import Contact
from messages_app.models.message import Attachment
from messages_app.timing import REBUILD_LEASE, rebuild_pause


class SessionRebuildQuerySet(models.QuerySet["SessionRebuild"]):
    def ready(self) -> SessionRebuildQuerySet:
        """Those that wait for no file. A file's type is known once it is stored; a deleted file has
        none.
        """
        is_known = Q(media__state__in=(Media.State.STORED, Media.State.DELETED))
        known = Attachment.objects.filter(is_known, id=OuterRef("attachment"))
        return self.filter(Q(attachment=None) | Exists(known))

    def fresh(self) -> SessionRebuildQuerySet:
        """Those that have not failed yet: they will be rebuilt at once."""
        return self.ready().filter(error="")

    def failing(self) -> SessionRebuildQuerySet:
        return self.exclude(error="")

    def due(self) -> SessionRebuildQuerySet:
        """Those to rebuild now, the least tried first."""
        return self.ready().filter(not_before__lte=Now()).order_by("attempts", "id")

    def record_failure(self, error: str) -> None:
        """Note that these could not be rebuilt: each is tried again after its pause."""
        for row in self:
            pause = rebuild_pause(row.attempts)
            self.filter(id=row.id).update(error=error, not_before=Now() + pause)

    def retry_now(self) -> int:
        """Make these due now: staff ask for it, or the cause is gone. Returns how many."""
        return self.update(not_before=Now())


class SessionRebuild(models.Model):
    """A conversation has messages that its sessions do not contain yet.

    Created in the transaction of the messages, deleted in the transaction of the rebuilt sessions:
    whatever happens in between, the messages and their files are stored, and the sessions follow.
    """

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="rebuilds"
    )
    provider = models.CharField(max_length=32)
    account = models.TextField(blank=True)
    business = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField(
        help_text="The time of the first message that is not in a session yet."
    )
    attachment = models.ForeignKey(
        Attachment,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="A file that may turn out to be a photo once it is stored: this waits for it.",
    )
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = SessionRebuildQuerySet.as_manager()

    class Meta:
        verbose_name = "conversation to rebuild"
        verbose_name_plural = "conversations to rebuild"
        ordering = ("-created_at", "id")

    def __str__(self) -> str:
        return f"{self.contact} since {self.since:%d %b %Y, %H:%M}"

    @classmethod
    def claim(cls, limit: int) -> list[SessionRebuild]:
        """Due ones that no other process rebuilds, in the caller's transaction: the attempt is
        counted and committed before it is made.
        """
        free = cls.objects.due().select_for_update(skip_locked=True)
        rows = list(free[:limit])
        cls.objects.filter(id__in=[row.id for row in rows]).update(
            attempts=F("attempts") + 1, not_before=Now() + REBUILD_LEASE
        )
        return rows
