"""Conversations whose sessions do not know yet all that was said."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from media_app.models import Media
from messages_app.models.contact import Contact
from messages_app.models.message import Attachment

# Whoever takes one has so long to rebuild it.
LEASE = timedelta(seconds=60)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


class SessionRebuildQuerySet(models.QuerySet["SessionRebuild"]):
    def ready(self) -> SessionRebuildQuerySet:
        """Those that wait for no file. Its type is known once it is stored; one that was deleted
        has none.
        """
        is_known = Q(media__state__in=(Media.State.STORED, Media.State.DELETED))
        known = Attachment.objects.filter(is_known, id=OuterRef("attachment"))
        return self.filter(Q(attachment=None) | Exists(known))

    def fresh(self) -> SessionRebuildQuerySet:
        """Those that will be rebuilt in a moment: they have not failed yet."""
        return self.ready().filter(error="")

    def failing(self) -> SessionRebuildQuerySet:
        return self.exclude(error="")

    def due(self) -> SessionRebuildQuerySet:
        """Those to rebuild now; those that were tried least come first."""
        return self.ready().filter(not_before__lte=Now()).order_by("attempts", "id")

    def failed(self, error: str) -> None:
        """These could not be rebuilt: each is tried again after a pause that doubles each time, up
        to an hour.
        """
        for row in self:
            pause = min(
                FIRST_PAUSE * 2.0 ** min(max(row.attempts - 1, 0), 10), LONGEST_PAUSE
            )
            self.filter(id=row.id).update(error=error, not_before=Now() + pause)

    def retry_now(self) -> int:
        """Staff ask again. Returns how many."""
        return self.update(not_before=Now())


class SessionRebuild(models.Model):
    """Something was said in this conversation that its sessions do not contain yet.

    Written in the transaction of the messages, deleted in the transaction of the rebuilt sessions:
    whatever happens in between, the messages and their files are kept, and the sessions follow.
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
    def take(cls, limit: int) -> list[SessionRebuild]:
        """Due ones that nobody else rebuilds. The attempt is counted and committed before it is
        made.
        """
        free = cls.objects.due().select_for_update(skip_locked=True)
        rows = list(free[:limit])
        cls.objects.filter(id__in=[row.id for row in rows]).update(
            attempts=F("attempts") + 1, not_before=Now() + LEASE
        )
        return rows
