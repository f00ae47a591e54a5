"""Files: what was announced, where it is kept, and how far it has come."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Greatest, Now

from media_app.failpoints import reached
from media_app.models.attempt import FetchAttempt
from media_app.models.pause import AccountPause, Admission

if TYPE_CHECKING:
    from uuid import UUID

# A claim is a lease: renewed while the work goes on, free for others when its holder is gone.
LEASE = timedelta(seconds=45)
# Longer than a storage takes to delete a batch, with its time-outs and repetitions.
PURGE_LEASE = timedelta(minutes=5)
# How long a queued hint is trusted before the sweeper queues the same file again.
QUEUED_FOR = timedelta(seconds=60)
# A file that starts anew is tried for so long, however old it is.
ANEW = timedelta(days=1)
# More than a sweep: when a pause ends, the other files of the account have their turn first.
BEHIND = timedelta(seconds=30)
# Files that are public, or have a public copy.
CONCERNS_PUBLIC = Q(is_public=True) | ~Q(public_key="")
# How the reason of a file that may not be kept for its size begins.
TOO_LARGE = "The file is larger than"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one file, until it runs out."""

    media: Media
    token: UUID
    #: Whether it finds out for a paused account if that works again.
    is_trial: bool = False
    #: Whether the file's last worker let its lease run out. That attempt has failed, and there is
    #: no new one.
    is_lost: bool = False
    began: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Purge:
    """The right to delete the objects of some deleted files, until it runs out after PURGE_LEASE.

    A file that comes back meanwhile is not claimed before that, so nobody puts an object that is
    then deleted.
    """

    files: list[Media]
    token: UUID = field(default_factory=uuid.uuid4)


class MediaQuerySet(models.QuerySet["Media"]):
    """The verbs. Each state is entered by exactly one of them; nothing else writes a state.

    Time is the database's (``Now()``): workers on several hosts need not agree on theirs.
    """

    def due(self) -> MediaQuerySet:
        """Files that wait to be fetched, whose time has come, that nobody works on, and whose
        account is not paused.
        """
        paused = AccountPause.objects.in_force().filter(
            source=OuterRef("source"), account=OuterRef("account")
        )
        return self._free().filter(
            ~Exists(paused),
            state__in=Media.WAITING,
            next_attempt_at__lte=Now(),
        )

    def claim_unqueued(self, limit: int) -> list[UUID]:
        """Due files without a fresh hint, the most urgent first; they count as queued from now."""
        with transaction.atomic():
            unqueued = self.due().filter(
                Q(queued_until=None) | Q(queued_until__lt=Now())
            )
            ids = list(
                unqueued.by_urgency()
                .select_for_update(skip_locked=True)
                .values_list("id", flat=True)[:limit]
            )
            self.filter(id__in=ids).update(queued_until=Now() + QUEUED_FOR)
        return ids

    def unqueue(self, ids: Iterable[UUID]) -> None:
        """The hint could not be given: the sweeper may try again at once."""
        self.filter(id__in=list(ids)).update(queued_until=None)

    def by_urgency(self) -> MediaQuerySet:
        """What the provider forgets first comes first."""
        return self.order_by("give_up_at", "next_attempt_at", "id")

    def claim(self) -> Lease | None:
        """Take the most urgent due file, or None. Enters ``fetching`` and counts an attempt.

        A file that is being fetched already is due when its worker let the lease run out. Its lease
        ``is_lost``: no attempt is counted, the lost one has to be ended like any other that failed.
        """
        while True:
            with transaction.atomic():
                media = (
                    self.due().by_urgency().select_for_update(skip_locked=True).first()
                )
                if media is None:
                    return None
                if media.state == Media.State.FETCHING:
                    return self._claim(media, is_lost=True)
                admission = AccountPause.objects.admit(
                    source=media.source, account=media.account
                )
                # Somebody else was faster with the one trial: its other files are no longer due.
                if admission != Admission.REFUSED:
                    return self._claim(media, is_trial=admission == Admission.TRIAL)

    def _claim(
        self, media: Media, *, is_trial: bool = False, is_lost: bool = False
    ) -> Lease:
        lease = Lease(media, uuid.uuid4(), is_trial, is_lost)
        media.state = Media.State.FETCHING
        media.attempts += not is_lost
        self.filter(id=media.id).update(
            state=media.state,
            attempts=media.attempts,
            lease_token=lease.token,
            lease_until=Now() + LEASE,
        )
        return lease

    def renew(self, lease: Lease, length: timedelta = LEASE) -> bool:
        """Let a lease end ``length`` from now; False when it is no longer ours."""
        return self._held(lease).update(lease_until=Now() + length) == 1

    def holds(self, lease: Lease) -> bool:
        """Whether nothing has happened to the file since it was claimed."""
        return self._held(lease).exists()

    def mark_stored(
        self,
        lease: Lease,
        *,
        key: str,
        sha256: str,
        size: int,
        content_type: str,
        type_differs: bool,
    ) -> bool:
        """Enter ``stored``; False when the file was deleted meanwhile, or came back and its object
        is being purged.

        Not bound to the lease: the bytes are verified and in place, so a job that
        comes late is right as well.
        """
        is_being_purged = Q(state=Media.State.PENDING, lease_until__gt=Now()) & ~Q(
            lease_token=lease.token
        )
        with transaction.atomic():
            stored = (
                self.filter(id=lease.media.id)
                .exclude(state=Media.State.DELETED)
                .exclude(is_being_purged)
                .update(
                    state=Media.State.STORED,
                    key=key,
                    sha256=sha256,
                    size=size,
                    content_type=content_type,
                    type_differs=type_differs,
                    stored_at=Now(),
                    last_error="",
                    unconfirmed_sha256="",
                    unkept_size=None,
                    lease_token=None,
                    lease_until=None,
                    queued_until=None,
                    # Which pictures have previews is decided when they are made.
                    preview_due_at=Now() if content_type.startswith("image/") else None,
                    preview_attempts=0,
                    preview_error="",
                )
            )
            if stored:
                self._record(lease, FetchAttempt.Outcome.STORED)
            reached("ingest_in_mark")
            if lease.is_trial:
                AccountPause.objects.lift(
                    source=lease.media.source, account=lease.media.account
                )
        return stored == 1

    def mark_retrying(
        self,
        lease: Lease,
        error: str,
        after: timedelta,
        *,
        unconfirmed_sha256: str = "",
        unkept_size: int | None = None,
    ) -> bool:
        """Enter ``retrying``: the reason is kept, the next attempt is ``after`` from now."""
        return self._release(
            lease,
            state=Media.State.RETRYING,
            last_error=error,
            next_attempt_at=Now() + after,
            unconfirmed_sha256=unconfirmed_sha256,
            unkept_size=unkept_size,
        )

    def mark_paused(
        self, lease: Lease, error: str, *, cause: AccountPause.Cause, length: timedelta
    ) -> bool:
        """Enter ``retrying`` with all files of its account: the provider refused the account, not
        the file.

        The attempt does not count. The file waits a little longer than its account: if it was
        the file after all, the others are not held up behind it. A file that is throttled again
        and again waits twice as long each time, up to half an hour.
        """
        media, behind = lease.media, BEHIND
        if cause == AccountPause.Cause.THROTTLED:
            # These attempts did not count, so they have this one's number.
            before = media.fetch_attempts.filter(
                number=media.attempts, answer=error
            ).count()
            behind *= 2 ** min(before, 6)
        with transaction.atomic():
            # The file before its account, as a claim locks them: else two workers could wait for
            # each other.
            released = self._release(
                lease,
                state=Media.State.RETRYING,
                last_error=error,
                attempts=F("attempts") - 1,
                next_attempt_at=Now() + length + behind,
            )
            if released:
                AccountPause.objects.pause(
                    source=media.source,
                    account=media.account,
                    cause=cause,
                    reason=error,
                    length=length,
                )
        return released

    def mark_expired(self, lease: Lease, error: str) -> bool:
        """Enter ``expired``: the provider no longer has the file."""
        return self._release(lease, state=Media.State.EXPIRED, last_error=error)

    def mark_rejected(self, lease: Lease, error: str) -> bool:
        """Enter ``rejected``: what the provider has can't be kept."""
        return self._release(lease, state=Media.State.REJECTED, last_error=error)

    def mark_missing(self, id: UUID, *, stored_at: datetime | None = None) -> bool:
        """Enter ``missing``: the row says stored, the bucket has nothing.

        With ``stored_at`` only if it has not been stored again since: it may have come back while
        it was looked for.
        """
        stored = self.filter(id=id, state=Media.State.STORED)
        if stored_at is not None:
            # Not equal: SQLite keeps three digits of a second, and compares with six.
            stored = stored.filter(stored_at__lte=stored_at)
        return (
            stored.update(
                state=Media.State.MISSING,
                last_error="The bucket no longer has the file.",
            )
            == 1
        )

    def mark_deleted(self, reason: str) -> int:
        """Enter ``deleted``, from any state; the objects are purged after it. Returns how many.

        A lease lasts on: who works on the file may still put its object, or delete it.
        """
        return self.exclude(state=Media.State.DELETED).update(
            state=Media.State.DELETED,
            last_error=reason,
            purged_at=None,
            queued_until=None,
            # A file that comes back is not public before staff say so again.
            is_public=False,
        )

    def unpurged(self) -> MediaQuerySet:
        """Deleted files whose objects may still be there."""
        return self.filter(state=Media.State.DELETED, purged_at=None)

    def claim_purge(self, limit: int, *, after: UUID) -> Purge:
        """Take deleted files by their ids, from the one ``after`` on: those that nobody works
        on.
        """
        with transaction.atomic():
            unpurged = self.unpurged()._free().filter(id__gt=after).order_by("id")
            purge = Purge(list(unpurged.select_for_update(skip_locked=True)[:limit]))
            self.filter(id__in=[media.id for media in purge.files]).update(
                lease_token=purge.token, lease_until=Now() + PURGE_LEASE
            )
        return purge

    def end_purge(self, purge: Purge, removed: Collection[UUID]) -> int:
        """Give the files back; those ``removed`` (ids) are purged, unless they came back. Returns
        how many are.
        """
        with transaction.atomic():
            held = self.filter(
                id__in=[media.id for media in purge.files], lease_token=purge.token
            )
            purged = held.filter(id__in=removed, state=Media.State.DELETED).update(
                purged_at=Now()
            )
            held.update(lease_token=None, lease_until=None)
        return purged

    def overtook(self, purge: Purge) -> MediaQuerySet:
        """The files of a purge that lasted too long which came back, and were stored, before it
        ended.
        """
        files = self.filter(
            id__in=[media.id for media in purge.files], state=Media.State.STORED
        )
        return files.exclude(lease_token=purge.token)

    def put_too_late(self, lease: Lease, key: str) -> bool:
        """The object of a deleted file was put under ``key``: it has to be purged, or purged again.

        False when the file is not deleted. A purge that is under way may have passed the object
        already: it goes on, but can't say any more that nothing is left.
        """
        deleted = self.filter(id=lease.media.id, state=Media.State.DELETED)
        with transaction.atomic():
            deleted.filter(lease_token=lease.token).update(lease_until=None)
            return (
                deleted.update(purged_at=None, key=key, lease_token=uuid.uuid4()) == 1
            )

    def revive(self, **announced: object) -> int:
        """Files given up or lost enter ``pending`` and start over with what was ``announced`` anew.
        Their key stays.

        So does the lease of a purge that is under way: they are not fetched before it has ended.
        """
        anew: dict[str, object] = {
            "state": Media.State.PENDING,
            "attempts": 0,
            "last_error": "",
            "unconfirmed_sha256": "",
            "give_up_at": Greatest("give_up_at", Now() + ANEW),
            "next_attempt_at": Now(),
            "queued_until": None,
            "purged_at": None,
        }
        # Where nothing says what to ask for, asking again would only hide why it is not there.
        named = (
            self.exclude(provider_media_id="", url="")
            if not announced.get("url")
            else self
        )
        return named.filter(state__in=Media.REVIVABLE).update(**{**anew, **announced})

    def revoke_links(self) -> int:
        """No signed link that was given out for these files opens them any more. Returns how many
        files.
        """
        return self.update(link_version=F("link_version") + 1)

    def mark_public(self, is_public: bool) -> int:
        """Whether the files are to have a copy in the public bucket. Returns how many it changed.

        Deleted files stay private.
        """
        changed = self.exclude(is_public=is_public).exclude(state=Media.State.DELETED)
        return changed.update(is_public=is_public)

    def retry_now(self) -> int:
        """Staff ask again: given-up files start anew, waiting ones are tried at once. Returns how
        many.
        """
        failed = self.filter(
            state__in=(Media.State.EXPIRED, Media.State.REJECTED, Media.State.MISSING)
        )
        revived = failed.revive()
        return revived + self.filter(state=Media.State.RETRYING).update(
            next_attempt_at=Now(), queued_until=None
        )

    def _free(self) -> MediaQuerySet:
        """Files that nobody works on."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))

    def _held(self, lease: Lease) -> MediaQuerySet:
        return self.filter(
            id=lease.media.id, lease_token=lease.token, state=Media.State.FETCHING
        )

    def _release(self, lease: Lease, *, last_error: str, **values: object) -> bool:
        free = {"lease_token": None, "lease_until": None, "queued_until": None}
        with transaction.atomic():
            released = self._held(lease).update(last_error=last_error, **free, **values)
            if released:
                outcome = (
                    FetchAttempt.Outcome.LOST
                    if lease.is_lost
                    else FetchAttempt.Outcome.FAILED
                )
                self._record(lease, outcome, last_error)
            else:
                # Deleted meanwhile: the purge need not wait any longer.
                self.filter(id=lease.media.id, lease_token=lease.token).update(
                    lease_token=None, lease_until=None
                )
        return released == 1

    def _record(
        self, lease: Lease, outcome: FetchAttempt.Outcome, answer: str = ""
    ) -> None:
        FetchAttempt.objects.create(
            media_id=lease.media.id,
            number=lease.media.attempts,
            seconds=None if lease.is_lost else time.monotonic() - lease.began,
            outcome=outcome,
            answer=answer,
        )
        # Most files are stored at once, and have no history: those pay nothing.
        if outcome != FetchAttempt.Outcome.STORED:
            FetchAttempt.forget_old(lease.media.id)


class Media(models.Model):
    """One file that a provider announced (or that came another way), once and for all."""

    class State(models.TextChoices):
        PENDING = "pending", "waiting"
        FETCHING = "fetching", "being fetched"
        STORED = "stored", "stored"
        RETRYING = "retrying", "trying again"
        EXPIRED = "expired", "gone at the provider"
        REJECTED = "rejected", "not accepted"
        MISSING = "missing", "lost by the bucket"
        DELETED = "deleted", "deleted"

    WAITING = (State.PENDING, State.FETCHING, State.RETRYING)
    REVIVABLE = (State.EXPIRED, State.REJECTED, State.MISSING, State.DELETED)

    id = models.UUIDField(primary_key=True, editable=False)
    # Who announced it, in the source's own words: the id is made from these.
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
    url = models.TextField(blank=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="When the provider forgets the file."
    )
    give_up_at = models.DateTimeField(
        help_text="Until when it is asked for: somewhat longer than the provider keeps it."
    )
    # How far it has come.
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    last_error = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    unconfirmed_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="What the last fetch brought, where only a second one can confirm it.",
    )
    unkept_size = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="How many bytes were fetched that the storage then did not keep.",
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
        verbose_name_plural = "media"
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
    def is_named(self) -> bool:
        """Whether there is anything to ask its source for."""
        return bool(self.provider_media_id or self.url)

    @property
    def is_too_large(self) -> bool:
        return self.state == self.State.REJECTED and self.last_error.startswith(
            TOO_LARGE
        )

    @property
    def last_modified(self) -> datetime:
        """The provider's time of it, for readers that ask for news: never in the future."""
        return min(self.occurred_at, self.announced_at)

    def expires_in(self, now: datetime) -> timedelta | None:
        """The rescue clock: how long the provider still has a file that we don't; None where it
        does not run.
        """
        if self.expires_at is None or self.state in (
            self.State.STORED,
            self.State.DELETED,
        ):
            return None
        return self.expires_at - now
