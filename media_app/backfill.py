"""Fetch the files that are announced and not stored, in this process.

Each is attempted once, under the lease that a worker would take. It needs neither workers nor
Redis.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from media_app import rate
from media_app.ingest import ingest
from media_app.models import AccountPause, Lease, Media, MediaQuerySet
from media_app.sources import errors
from media_app.spool import Spool
from media_app.storage import StorageError

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)

# So many ids are read at once.
PAGE = 500

_REASONS = {
    errors.ForbiddenError: "forbidden",
    errors.GoneError: "gone",
    errors.RefusedAddressError: "refused_address",
    errors.ThrottledError: "throttled",
    errors.TooLargeError: "too_large",
    errors.UnauthorizedError: "unauthorized",
    errors.UnavailableError: "unavailable",
    errors.WorkerLostError: "worker_lost",
    errors.WrongBytesError: "wrong_bytes",
    StorageError: "storage",
}
STORAGE, PAUSED = "storage", "account_paused"


class Result(StrEnum):
    STORED = "stored"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempted:
    """What became of one file."""

    key: str
    result: Result
    #: Why it was not stored, for programs; "" where it was.
    reason: str = ""
    #: The same for people: of a failed attempt, what the file's page says of it.
    error: str = ""

    @property
    def counts_as(self) -> tuple[str, ...]:
        """The numbers of a summary that it adds to."""
        name = "_".join(filter(None, (self.result, self.reason)))
        if self.result == Result.SKIPPED:
            return (name,)
        return ("attempted", name)

    @property
    def is_left(self) -> bool:
        """Whether somebody has to try again: it failed, or nobody may try now."""
        return self.result == Result.FAILED or self.reason == PAUSED

    def __str__(self) -> str:
        text = f"{self.result} {self.key}"
        if self.error:
            return f"{text}: {self.error}"
        return text


def unstored(
    *,
    again: Collection[Media.State] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    owner: str = "",
) -> MediaQuerySet:
    """The files to fetch: those that wait, and those that were given up in a state of ``again``.

    ``since`` and ``until`` bound the time when they were sent.
    """
    files = Media.objects.filter(state__in=(*Media.WAITING, *again))
    if since is not None:
        files = files.filter(occurred_at__gte=since)
    if until is not None:
        files = files.filter(occurred_at__lt=until)
    if owner:
        files = files.filter(owner=owner)
    return files


def newest_first(files: MediaQuerySet, limit: int | None = None) -> Iterator[UUID]:
    """The ids of these files, the newest first, each once: whatever happens to them meanwhile."""
    ordered = files.order_by("-occurred_at", "-id").values_list("occurred_at", "id")
    left, page = limit, list(ordered[:PAGE])
    while page:
        if left is not None:
            page = page[:left]
            left -= len(page)
        yield from (id for _, id in page)
        at, id = page[-1]
        if left == 0:
            return
        older = Q(occurred_at__lt=at) | Q(occurred_at=at, id__lt=id)
        page = list(ordered.filter(older)[:PAGE])


def attempt(id: UUID, again: Collection[Media.State] = ()) -> Attempted:
    """Fetch this file, if it may be claimed. In a thread of its own: closes the connection.

    A file in a state of ``again`` is revived for it, and stays as it was where it can't be
    claimed.
    """
    rate.wait_for_turn()
    try:
        lease = _claimed(id, again)
        if lease is None:
            return _skipped(Media.objects.get(id=id))
        attempted = _ingest(lease)
        if lease.ends_lost_attempt and (own := _claimed(id, ())) is not None:
            # That was the attempt of a worker that was lost.
            attempted = _ingest(own)
        return attempted
    finally:
        connection.close()


def _claimed(id: UUID, again: Collection[Media.State]) -> Lease | None:
    # In one transaction: a run that is killed leaves all others as they were.
    with transaction.atomic():
        revived = Media.objects.filter(id=id, state__in=again).revive()
        lease = Media.objects.claim_file(id)
        if lease is None and revived:
            transaction.set_rollback(True)
    return lease


def _ingest(lease: Lease) -> Attempted:
    key = lease.media.key
    try:
        with Spool(settings.MEDIA_MAX_BYTES) as spool:
            error = ingest(lease, spool)
    except Exception:
        # A defect of ours costs one file, not the run.
        log.exception("not fetched", extra={"media": str(lease.media.id)})
        text = "Fetching stopped with an internal error; the log has the details."
        return Attempted(key=key, result=Result.FAILED, reason="internal", error=text)
    if error is None and lease.media.is_stored:
        return Attempted(key=lease.media.key, result=Result.STORED)
    if error is None:
        return _skipped(Media.objects.get(id=lease.media.id))
    reason = next(code for kind, code in _REASONS.items() if isinstance(error, kind))
    return Attempted(key=key, result=Result.FAILED, reason=reason, error=str(error))


def _skipped(media: Media) -> Attempted:
    reason, text = _why_skipped(media)
    return Attempted(key=media.key, result=Result.SKIPPED, reason=reason, error=text)


def _why_skipped(media: Media) -> tuple[str, str]:
    """Why a file could not be claimed, as far as its row tells now."""
    if media.is_stored:
        return "stored_meanwhile", "stored by another process meanwhile"
    if not media.was_passed_on:
        return "not_named", "the provider gave neither an id nor a link for it"
    pauses = AccountPause.objects.in_force()
    if pauses.filter(source=media.source, account=media.account).exists():
        return PAUSED, "its account is paused"
    return "taken", "another process works on it, or has just given it up"
