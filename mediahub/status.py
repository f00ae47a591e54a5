"""The status of the hub: what waits, what is stuck, and what could not be stored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Greatest, Now

from media_app import queues
from media_app.models import CONCERNS_PUBLIC, AccountPause, FetchAttempt, Media
from media_app.publication import public_bucket
from messages_app import reply_windows
from messages_app.erasing import flow as erasures
from messages_app.models import (
    Delivery,
    DeliveryNotice,
    ErasureRequest,
    OutboxItem,
    QuarantinedItem,
    SessionRebuild,
    WebhookRefusal,
)

# What ends, or ended, within this time is shown.
LATELY = timedelta(days=1)
# One failed attempt is not reported, so many are.
FAILING_ATTEMPTS = 3
# So many different names are shown.
MAX_NOTICES = 20

GIVEN_UP = (Media.State.EXPIRED, Media.State.REJECTED)
UNSENT = (OutboxItem.State.FAILED, OutboxItem.State.UNKNOWN)
NOT_STORED = (*GIVEN_UP, Media.State.MISSING)
# Not stored, and the provider may still have them.
RETRYABLE = (*Media.WAITING, Media.State.REJECTED, Media.State.MISSING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """Files of one account in one state."""

    state: str
    source: str
    account: str
    count: int
    #: When the first of them was announced.
    oldest: datetime
    #: How many of them a worker is fetching.
    leased: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Notices:
    """Parts of deliveries of one name that became no message."""

    name: str
    #: What the provider says went wrong with the account, or "".
    error: str
    has_media: bool
    times: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What was found at one moment. Moments are None where nothing waits."""

    at: datetime
    #: Why the queue takes no jobs, in a sentence; "" when it does.
    queue_error: str
    #: Accounts that are left alone, the longest first; those asked to slow down only while that
    #: lasts.
    pauses: tuple[AccountPause, ...]
    #: All that are not stored or deleted.
    files: tuple[Files, ...]
    #: Since when a file could have been fetched that no worker took.
    due_since: datetime | None
    #: How many such files there are.
    due: int
    #: Since when a delivery has not been read.
    unread_since: datetime | None
    unread: int
    quarantined: int
    #: Conversations whose sessions could not be rebuilt.
    rebuilds_failing: int
    #: The first to be due first.
    erasures_waiting: tuple[ErasureRequest, ...]
    #: People were erased with a key that is not set any more.
    is_erasure_key_lost: bool
    #: Files that the provider forgets within ``LATELY``, and when the first is forgotten.
    running_out: int
    first_runs_out: datetime | None
    #: Files given up within ``LATELY``.
    given_up_lately: int
    #: Replies and hand-overs that were not sent, or perhaps not, as long as sending them again is
    #: of use.
    unsent: int
    #: Hand-overs that the business has refused again and again, and what one of them was answered.
    hand_overs_failing: int
    hand_over_error: str
    #: Public files that could not be copied, and files whose public copy could not be removed.
    uncopied: int
    unremoved: int
    #: What the bucket said to one of them.
    public_error: str
    #: What became no message within ``LATELY``, by name.
    notices: tuple[Notices, ...]
    #: Webhooks refused within ``LATELY``, at endpoints that have accepted none since.
    refusals: tuple[WebhookRefusal, ...]

    def count(self, *states: str) -> int:
        return sum(files.count for files in self.files if files.state in states)

    def oldest(self, *states: str) -> datetime | None:
        return _earliest(
            *(files.oldest for files in self.files if files.state in states)
        )

    def waiting_for(self, pause: AccountPause) -> int:
        """How many files of the paused account wait."""
        return sum(
            files.count
            for files in self.files
            if (files.source, files.account) == (pause.source, pause.account)
            and files.state in Media.WAITING
        )

    @property
    def in_progress(self) -> int:
        """How many files are being fetched."""
        return sum(files.leased for files in self.files)

    @property
    def waiting_since(self) -> datetime | None:
        """Since when there is work that nobody does."""
        return _earliest(self.due_since, self.unread_since)


def collect() -> Status:
    """Look at everything, in a fixed number of queries. Raises django.db.Error; a queue that is
    down is a finding.
    """
    now = datetime.now(UTC)
    unread = Delivery.objects.due().aggregate(
        count=Count("id"), oldest=Min("received_at")
    )
    running_out = Media.objects.filter(
        state__in=RETRYABLE, expires_at__gt=now, expires_at__lte=now + LATELY
    ).aggregate(count=Count("id"), first=Min("expires_at"))
    lately = FetchAttempt.objects.filter(
        media=OuterRef("pk"), ended_at__gte=now - LATELY
    )
    # These were never tried: the provider said at once that it can't pass them on.
    lost_lately = Q(provider_media_id="", url="", announced_at__gte=now - LATELY)
    outbox = _outbox(now)
    return Status(
        at=now,
        queue_error=queues.problem(),
        pauses=pauses(),
        files=_files((*Media.WAITING, *NOT_STORED)),
        **_due(),
        unread_since=unread["oldest"],
        unread=unread["count"],
        quarantined=QuarantinedItem.objects.count(),
        rebuilds_failing=SessionRebuild.objects.failing()
        .values("contact")
        .distinct()
        .count(),
        erasures_waiting=tuple(ErasureRequest.objects.waiting()),
        is_erasure_key_lost=erasures.is_key_lost(),
        running_out=running_out["count"],
        first_runs_out=running_out["first"],
        given_up_lately=Media.objects.filter(
            Exists(lately) | lost_lately, state__in=GIVEN_UP
        ).count(),
        unsent=outbox["unsent"],
        hand_overs_failing=outbox["failing"],
        hand_over_error=outbox["error"] or "",
        **_public_copies(),
        notices=_notices(now),
        refusals=_refusals(now),
    )


def oldest_pending() -> datetime | None:
    """Since when the oldest delivery or file has been on its way, whatever it waits for."""
    unread = Delivery.objects.due().aggregate(oldest=Min("received_at"))["oldest"]
    return _earliest(unread, *(files.oldest for files in _files(Media.WAITING)))


# --- parts --------------------------------------------------------------------


def pauses() -> tuple[AccountPause, ...]:
    # The provider itself said when it may be asked again: after that nothing is wrong.
    over = Q(cause=AccountPause.Cause.THROTTLED, until__lte=Now())
    return tuple(AccountPause.objects.exclude(over))


def _files(states: Collection[str]) -> tuple[Files, ...]:
    found = (
        Media.objects.filter(state__in=states)
        .order_by()
        .values("state", "source", "account")
        .annotate(
            count=Count("id"),
            oldest=Min("announced_at"),
            leased=Count(
                "id", filter=Q(state=Media.State.FETCHING, lease_until__gte=Now())
            ),
        )
    )
    return tuple(Files(**row) for row in found)


def _outbox(now: datetime) -> dict[str, Any]:
    is_hand_over = Q(kind=OutboxItem.Kind.HAND_OVER)
    may_be_sent = is_hand_over | reply_windows.of_open_sessions(now)
    unsent = Q(state__in=UNSENT) & may_be_sent
    failing = (
        is_hand_over
        & Q(state=OutboxItem.State.QUEUED, attempts__gte=FAILING_ATTEMPTS)
        & ~Q(last_error="")
    )
    return OutboxItem.objects.filter(unsent | failing).aggregate(
        unsent=Count("id", filter=unsent),
        failing=Count("id", filter=failing),
        error=Max("last_error", filter=failing),
    )


def _public_copies() -> dict[str, Any]:
    is_public = Q(
        is_public=True, state=Media.State.STORED, public_bucket=public_bucket()
    )
    found = (
        Media.objects.filter(CONCERNS_PUBLIC)
        .exclude(public_error="")
        .aggregate(
            uncopied=Count("id", filter=is_public),
            unremoved=Count("id", filter=~is_public),
            public_error=Max("public_error"),
        )
    )
    return {**found, "public_error": (found["public_error"] or "").rstrip(".")}


def _refusals(now: datetime) -> tuple[WebhookRefusal, ...]:
    accepted_since = Delivery.objects.filter(
        endpoint=OuterRef("endpoint"), received_at__gt=OuterRef("last_at")
    )
    lately = WebhookRefusal.objects.filter(last_at__gte=now - LATELY)
    return tuple(lately.filter(~Exists(accepted_since)).order_by("-last_at"))


def _notices(now: datetime) -> tuple[Notices, ...]:
    lately = DeliveryNotice.objects.filter(found_at__gte=now - LATELY).order_by()
    named = (
        lately.values("name", "error", "has_media")
        .annotate(sum=Sum("times"))
        .order_by("-sum", "name", "error")
    )
    return tuple(
        Notices(
            name=row["name"],
            error=row["error"],
            has_media=row["has_media"],
            times=row["sum"],
        )
        for row in named[:MAX_NOTICES]
    )


def _due() -> dict[str, Any]:
    """A file is free for a worker when its time has come, no other holds it, and its account is not
    paused.
    """
    pause = AccountPause.objects.filter(
        source=OuterRef("source"), account=OuterRef("account")
    )
    freed = Greatest(
        "next_attempt_at",
        Coalesce("lease_until", "next_attempt_at"),
        Coalesce(Subquery(pause.values("until")[:1]), "next_attempt_at"),
    )
    free = (
        Media.objects.due()
        .annotate(freed=freed)
        .aggregate(since=Min("freed"), count=Count("id"))
    )
    return {"due_since": free["since"], "due": free["count"]}


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)
