"""Which file a worker fetches next, and for how long it is the worker's."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from media_app.models.pause import AccountPause, Admission
from media_app.models.states import WAITING, State
from media_app.timing import FETCH_LEASE, QUEUED_FOR

if TYPE_CHECKING:
    from uuid import UUID

    from media_app.models.media import Media


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one file: until its end time, and after it until another worker claims
    the file.
    """

    media: Media
    token: UUID
    #: Whether this attempt is the trial of a paused account (see ``AccountPause``).
    is_trial: bool = False
    #: Whether this lease only ends the attempt of the last worker, which let its own lease expire.
    #: That attempt has failed, and no new one is made.
    ends_lost_attempt: bool = False
    began: float = field(default_factory=time.monotonic)


class ClaimsQuerySet(models.QuerySet["Media"]):
    """Times are the database's (``Now()``): the clocks of workers on several hosts may differ."""

    def due(self) -> Self:
        """Files to fetch now: they are ``fetchable``, and their time has come."""
        return self.fetchable().filter(next_attempt_at__lte=Now())

    def fetchable(self) -> Self:
        """Files to fetch, now or later, that nobody works on, and whose account is not paused. A
        file in ``fetching`` is among them when the lease of its worker has expired.
        """
        paused = AccountPause.objects.in_force().filter(
            source=OuterRef("source"), account=OuterRef("account")
        )
        return self.unclaimed().filter(~Exists(paused), state__in=WAITING)

    def unclaimed(self) -> Self:
        """Files that nobody works on."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))

    def by_urgency(self) -> Self:
        """What the provider deletes first comes first."""
        return self.order_by("give_up_at", "next_attempt_at", "id")

    def claim_unqueued(self, limit: int) -> list[UUID]:
        """Due files that no job was queued for lately, the most urgent first; they count as queued
        from now on.
        """
        not_queued = Q(queued_until=None) | Q(queued_until__lt=Now())
        with transaction.atomic():
            unqueued = self.due().filter(not_queued).by_urgency()
            ids = list(
                unqueued.select_for_update(skip_locked=True).values_list(
                    "id", flat=True
                )[:limit]
            )
            self.filter(id__in=ids).update(queued_until=Now() + QUEUED_FOR)
        return ids

    def unqueue(self, ids: Iterable[UUID]) -> None:
        """The jobs could not be queued: the sweeper may try again at once."""
        self.filter(id__in=list(ids)).update(queued_until=None)

    def claim(self) -> Lease | None:
        """Claim the most urgent due file, or None. Enters ``fetching`` and counts an attempt.

        A file that is due although it is being fetched has lost its worker, whose lease expired.
        Then the lease ``ends_lost_attempt``: no attempt is counted, and the attempt of the lost
        worker has to be ended like any other that failed.
        """
        return self._claim_first(self.due().by_urgency())

    def claim_file(self, id: UUID) -> Lease | None:
        """Claim this file, without waiting for its next attempt's time; None where it does not
        wait to be fetched, somebody works on it, or its account is paused. As ``claim``.
        """
        return self._claim_first(self.fetchable().filter(id=id))

    def _claim_first(self, candidates: Self) -> Lease | None:
        while True:
            with transaction.atomic():
                media = candidates.select_for_update(skip_locked=True).first()
                if media is None:
                    return None
                if media.state == State.FETCHING:
                    return self._claim(media, ends_lost_attempt=True)
                admission = AccountPause.objects.admission(
                    source=media.source, account=media.account
                )
                # Refused: another worker has just claimed the trial of the account. Its other files
                # are no longer due.
                if admission != Admission.REFUSED:
                    return self._claim(media, is_trial=admission == Admission.TRIAL)

    def _claim(
        self, media: Media, *, is_trial: bool = False, ends_lost_attempt: bool = False
    ) -> Lease:
        lease = Lease(media, uuid.uuid4(), is_trial, ends_lost_attempt)
        media.state = State.FETCHING
        media.attempts += not ends_lost_attempt
        self.filter(id=media.id).update(
            state=media.state,
            attempts=media.attempts,
            lease_token=lease.token,
            lease_until=Now() + FETCH_LEASE,
        )
        return lease

    def renew(self, lease: Lease, length: timedelta = FETCH_LEASE) -> bool:
        """Let a lease end ``length`` from now; False when it is no longer ours."""
        return self.held(lease).update(lease_until=Now() + length) == 1

    def holds(self, lease: Lease) -> bool:
        """Whether the lease is still ours."""
        return self.held(lease).exists()

    def held(self, lease: Lease) -> Self:
        """The file, while the lease is ours: by its token, not by its end time. An expired lease
        that nobody else has taken does no harm.
        """
        return self.filter(
            id=lease.media.id, lease_token=lease.token, state=State.FETCHING
        )
