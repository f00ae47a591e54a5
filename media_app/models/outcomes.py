"""How an attempt to fetch a file ends."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from media_app.clock import just_after
from media_app.failpoints import failpoint
from media_app.models.attempt import FetchAttempt
from media_app.models.claims import ClaimsQuerySet, Lease
from media_app.models.pause import AccountPause
from media_app.models.states import GIVEN_UP, Failure, State
from media_app.timing import PAUSING_FILE_DELAY

if TYPE_CHECKING:
    from uuid import UUID

    from media_app.models.media import Media


class OutcomesQuerySet(ClaimsQuerySet):
    """Success enters ``stored`` whoever holds the lease; a failure is written under its own."""

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
        """Enter ``stored``; False when the file was deleted meanwhile, or is pending again and its
        object is being purged.

        Not bound to the lease: the bytes are verified and in place, so a late job is right as well.
        """
        is_being_purged = Q(state=State.PENDING, lease_until__gt=Now()) & ~Q(
            lease_token=lease.token
        )
        with transaction.atomic():
            stored = (
                self.filter(id=lease.media.id)
                .exclude(state=State.DELETED)
                .exclude(is_being_purged)
                .update(
                    key=key,
                    sha256=sha256,
                    size=size,
                    type_differs=type_differs,
                    **_stored_now(content_type),
                )
            )
            if stored:
                self._record(lease, FetchAttempt.Outcome.STORED)
            failpoint("ingest_in_mark")
            if lease.is_trial:
                AccountPause.objects.lift(
                    source=lease.media.source, account=lease.media.account
                )
        return stored == 1

    def insert_stored(self, media: Media) -> bool:
        """Enter ``stored`` with a new row: the object is there, and its bytes are verified.

        False where there is a row of this id already.
        """
        for name, value in _stored_now(media.content_type).items():
            setattr(media, name, value)
        try:
            with transaction.atomic():
                media.save(force_insert=True)
        except IntegrityError:
            if not self.filter(id=media.id).exists():
                raise
            return False
        return True

    def mark_adopted(
        self,
        id: UUID,
        *,
        key: str,
        sha256: str,
        size: int,
        content_type: str,
        type_differs: bool,
    ) -> bool:
        """Enter ``stored`` without a fetch, from expired, rejected or missing: the storage has the
        file, and its bytes are verified.
        """
        given_up = self.filter(id=id, state__in=GIVEN_UP)
        adopted = given_up.update(
            key=key,
            sha256=sha256,
            size=size,
            type_differs=type_differs,
            **_stored_now(content_type),
        )
        return adopted == 1

    def mark_retrying(
        self,
        lease: Lease,
        error: str,
        after: timedelta,
        *,
        unconfirmed_sha256: str = "",
        unkept_size: int | None = None,
    ) -> bool:
        """Enter ``retrying`` with the reason; the next attempt is ``after`` from now."""
        return self._release(
            lease,
            state=State.RETRYING,
            last_error=error,
            next_attempt_at=Now() + after,
            unconfirmed_sha256=unconfirmed_sha256,
            unkept_size=unkept_size,
        )

    def mark_paused(
        self, lease: Lease, error: str, *, cause: AccountPause.Cause, length: timedelta
    ) -> bool:
        """Enter ``retrying`` and pause the account: the provider refused the account, not the file.

        The attempt does not count. The file waits a little longer than its account: if it was
        the file after all, the others are not held up behind it. A file that is throttled again
        and again waits twice as long each time, up to half an hour.
        """
        media, delay = lease.media, PAUSING_FILE_DELAY
        if cause == AccountPause.Cause.THROTTLED:
            # These attempts did not count, so they have this one's number.
            same = media.fetch_attempts.filter(number=media.attempts, answer=error)
            delay *= 2 ** min(same.count(), 6)
        with transaction.atomic():
            # The file before its account, as a claim locks them: else two workers could wait for
            # each other.
            released = self._release(
                lease,
                state=State.RETRYING,
                last_error=error,
                attempts=F("attempts") - 1,
                next_attempt_at=Now() + length + delay,
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
        return self._release(lease, state=State.EXPIRED, last_error=error)

    def mark_rejected(self, lease: Lease, error: str, failure: Failure) -> bool:
        """Enter ``rejected``: the provider's file can't be kept."""
        return self._release(
            lease, state=State.REJECTED, last_error=error, failure=failure
        )

    def mark_missing(self, id: UUID, *, stored_at: datetime | None = None) -> bool:
        """Enter ``missing``: the row says stored, the storage has nothing.

        With ``stored_at`` only if it has not been stored again since: that may happen while its
        object is looked for.
        """
        stored = self.filter(id=id, state=State.STORED)
        if stored_at is not None:
            stored = stored.filter(stored_at__lt=just_after(stored_at))
        marked = stored.update(
            state=State.MISSING, last_error="The storage no longer has the file."
        )
        return marked == 1

    def _release(self, lease: Lease, *, last_error: str, **values: object) -> bool:
        with transaction.atomic():
            released = self.held(lease).update(
                last_error=last_error,
                lease_token=None,
                lease_until=None,
                queued_until=None,
                **values,
            )
            if released:
                self._record_failure(lease, last_error)
            else:
                # Deleted meanwhile: the purge need not wait any longer.
                own = self.filter(id=lease.media.id, lease_token=lease.token)
                own.update(lease_token=None, lease_until=None)
        return released == 1

    def _record_failure(self, lease: Lease, error: str) -> None:
        if lease.ends_lost_attempt:
            self._record(lease, FetchAttempt.Outcome.LOST, error)
        else:
            self._record(lease, FetchAttempt.Outcome.FAILED, error)
        # Not after success: most files have no failed attempts, and need no query for them.
        FetchAttempt.forget_old(lease.media.id)

    def _record(
        self, lease: Lease, outcome: FetchAttempt.Outcome, answer: str = ""
    ) -> None:
        seconds = None if lease.ends_lost_attempt else time.monotonic() - lease.began
        FetchAttempt.objects.create(
            media_id=lease.media.id,
            number=lease.media.attempts,
            seconds=seconds,
            outcome=outcome,
            answer=answer,
        )


def _stored_now(content_type: str) -> dict[str, object]:
    """What each file has that has just been stored."""
    # Which pictures have previews is decided when they are made.
    preview_due_at = Now() if content_type.startswith("image/") else None
    return {
        "state": State.STORED,
        "content_type": content_type,
        "stored_at": Now(),
        "last_error": "",
        "failure": "",
        "unconfirmed_sha256": "",
        "unkept_size": None,
        "lease_token": None,
        "lease_until": None,
        "queued_until": None,
        "preview_due_at": preview_due_at,
        "preview_attempts": 0,
        "preview_error": "",
    }
