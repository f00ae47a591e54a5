"""Files: what was announced, where it is stored, and how far it has come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Now

from media_app.models import states
from media_app.models.outcomes import OutcomesQuerySet
from media_app.models.purges import PurgesQuerySet
from media_app.models.states import State
from media_app.timing import GIVE_UP_AFTER_REVIVAL

# Files that are public, or have a public copy.
CONCERNS_PUBLIC = Q(is_public=True) | ~Q(public_key="")


# django-stubs gives each of the bases an as_manager of its own.
class MediaQuerySet(OutcomesQuerySet, PurgesQuerySet):  # type: ignore[override]
    """The verbs. Each state is entered by exactly one of them; nothing else writes a state."""

    def revive(self, **announced: object) -> int:
        """Enter ``pending`` from expired, rejected, missing or deleted, with what was ``announced``
        since. The key stays.

        So does the lease of a purge that is under way: the file is not fetched before it ends.
        """
        values: dict[str, object] = {
            "state": State.PENDING,
            "attempts": 0,
            "last_error": "",
            "failure": "",
            "unconfirmed_sha256": "",
            "give_up_at": Greatest("give_up_at", Now() + GIVE_UP_AFTER_REVIVAL),
            "next_attempt_at": Now(),
            "queued_until": None,
            "purged_at": None,
            "purge_after": None,
            **announced,
        }
        files = self.filter(state__in=states.REVIVABLE)
        if not announced.get("url"):
            # Without an id or a link nothing can be fetched: the reason for that stays.
            files = files.exclude(provider_media_id="", url="")
        return files.update(**values)

    def revoke_links(self) -> int:
        """Let no signed link of these files open them any more. Returns how many files."""
        return self.update(link_version=F("link_version") + 1)

    def mark_public(self, is_public: bool) -> int:
        """Whether the files are to have a copy in the public bucket. Returns how many changed.

        Deleted files stay private.
        """
        changed = self.exclude(is_public=is_public).exclude(state=State.DELETED)
        return changed.update(is_public=is_public)

    def retry_now(self) -> int:
        """Staff want another attempt: at once for files that wait for one, from the start for those
        given up. Returns how many.
        """
        given_up = self.filter(state__in=states.GIVEN_UP)
        revived = given_up.revive()
        waiting = self.filter(state=State.RETRYING)
        return revived + waiting.update(next_attempt_at=Now(), queued_until=None)


class Media(models.Model):
    """One file that a provider announced (or that came another way), once and for all."""

    State: TypeAlias = states.State
    Failure: TypeAlias = states.Failure
    WAITING = states.WAITING
    GIVEN_UP = states.GIVEN_UP
    REVIVABLE = states.REVIVABLE

    id = models.UUIDField(primary_key=True, editable=False)
    # Who announced it, as the source names it: the id is made from these.
    source = models.CharField(max_length=32)
    account = models.TextField(blank=True)
    provider_media_id = models.TextField(blank=True)
    provider_message_id = models.TextField(blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    # Fixed by the first announcement, never computed again.
    owner = models.CharField(max_length=200, db_index=True)
    occurred_at = models.DateTimeField()
    time_assumed = models.BooleanField(
        default=False,
        help_text="The provider's time was missing or unbelievable; the time of receipt "
        "stands instead.",
    )
    key = models.CharField(max_length=300, unique=True)
    # What the provider said of it.
    announced_type = models.CharField(max_length=200, blank=True)
    announced_sha256 = models.CharField(max_length=64, blank=True)
    announced_size = models.BigIntegerField(null=True, blank=True)
    announced_at = models.DateTimeField()
    filename = models.CharField(max_length=255, blank=True)
    details = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="What an import knew of it beside: texts by name.",
    )
    url = models.TextField(blank=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="When the provider deletes the file."
    )
    give_up_at = models.DateTimeField(
        help_text="Until when it is tried: somewhat longer than the provider keeps it."
    )
    # How far it has come.
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    last_error = models.TextField(blank=True)
    failure = models.CharField(
        max_length=16,
        choices=Failure,
        blank=True,
        default="",
        db_default="",
        help_text="Why a rejected file was not accepted; last_error says it in words.",
    )
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    unconfirmed_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="The digest of the last fetch, where only a second one can confirm it.",
    )
    unkept_size = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="How many bytes were fetched that found no room in the storage.",
    )
    queued_until = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    # What we hold.
    sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    size = models.BigIntegerField(null=True, blank=True)
    content_type = models.CharField(max_length=200, blank=True)
    type_differs = models.BooleanField(
        default=False,
        help_text="The file is of another type than announced; it is served as what it is.",
    )
    stored_at = models.DateTimeField(null=True, blank=True)
    purge_after = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Until when a deleted file can be restored; empty: its object goes at once.",
    )
    purged_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the object of a deleted file was removed.",
    )
    # Its previews, made by a worker soon after it is stored, else when they are looked at.
    preview_due_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a worker may make the previews; empty when none has to.",
    )
    preview_attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    preview_error = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Why workers no longer try to make the previews.",
    )
    # Who may have it.
    link_version = models.PositiveIntegerField(
        default=0, help_text="Signed links of former versions open nothing."
    )
    is_public = models.BooleanField(
        default=False,
        verbose_name="public",
        help_text="While it is stored, the public bucket has a copy.",
    )
    # Its copy in the public bucket. The key is written before there is a copy and cleared after it
    # is removed.
    public_bucket = models.CharField(
        max_length=255, blank=True, default="", db_default=""
    )
    public_key = models.CharField(max_length=100, blank=True, default="", db_default="")
    published_at = models.DateTimeField(
        null=True, blank=True, help_text="When its public copy was complete."
    )
    public_lease_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Until when one worker alone copies it, or removes the copy.",
    )
    public_error = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="Why the copy could not be made, or removed.",
    )

    objects = MediaQuerySet.as_manager()

    class Meta:
        verbose_name = "file"
        verbose_name_plural = "files"
        ordering = ("-occurred_at", "position", "id")
        indexes = [
            models.Index(
                fields=["-occurred_at", "position", "id"], name="media_newest"
            ),
            models.Index(fields=["state", "-occurred_at"], name="media_by_state"),
            models.Index(
                fields=["give_up_at", "next_attempt_at", "id"],
                name="media_by_urgency",
                condition=Q(state__in=("pending", "fetching", "retrying")),
            ),
            models.Index(
                fields=["id"],
                name="media_unpurged",
                condition=Q(state="deleted", purged_at=None),
            ),
            models.Index(
                fields=["purge_after"],
                name="media_to_purge",
                condition=Q(state="deleted", purged_at=None),
            ),
            models.Index(
                fields=["preview_due_at"],
                name="media_without_previews",
                condition=Q(state="stored", preview_due_at__isnull=False),
            ),
            models.Index(
                fields=["public_lease_until"],
                name="media_public",
                condition=CONCERNS_PUBLIC,
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def is_stored(self) -> bool:
        return self.state == self.State.STORED

    @property
    def waits_for_purge(self) -> bool:
        """Whether the file is deleted, and its object kept for a while to restore it."""
        is_unpurged = self.state == self.State.DELETED and self.purged_at is None
        return is_unpurged and self.purge_after is not None

    @property
    def was_passed_on(self) -> bool:
        """Whether the provider passed it on: there is an id or an address to fetch it by."""
        return bool(self.provider_media_id or self.url)

    @property
    def is_too_large(self) -> bool:
        return self.failure == self.Failure.TOO_LARGE

    @property
    def last_modified(self) -> datetime:
        """The provider's time of it, for If-Modified-Since: never in the future."""
        return min(self.occurred_at, self.announced_at)

    def expires_in(self, now: datetime) -> timedelta | None:
        """The time left to fetch it from the provider; None where it is stored or deleted, or
        never expires.
        """
        if self.expires_at is None or self.state in (
            self.State.STORED,
            self.State.DELETED,
        ):
            return None
        return self.expires_at - now
