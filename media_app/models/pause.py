"""Accounts of which no file is fetched for a while.

An account that asked us to slow down is fetched from again when its pause is over. An account whose
credentials were refused stays paused: every TRIAL_INTERVAL one of its files is fetched as a trial,
and the pause is lifted once a trial shows that the account works.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models, transaction
from django.db.models.functions import Greatest, Now

from media_app.identity import computed_id
from media_app.inserts import insert_once
from media_app.timing import TRIAL_INTERVAL


class AccountPauseQuerySet(models.QuerySet["AccountPause"]):
    """The verbs. A pause is in force until ``until``, by the database's clock."""

    def in_force(self) -> AccountPauseQuerySet:
        return self.filter(until__gt=Now())

    def pause(
        self, *, source: str, account: str, cause: str, reason: str, length: timedelta
    ) -> None:
        """Pause the account for so long from now.

        Several workers may be refused at once: the longest pause holds, and refused credentials
        win over a request to slow down.
        """
        id = computed_id("pause", source, account)
        until = Now() + length
        with transaction.atomic():
            fresh = AccountPause(
                id=id,
                source=source,
                account=account,
                cause=cause,
                reason=reason,
                until=until,
            )
            insert_once([fresh], no_op_update="source")
            row = self.filter(id=id)
            row.update(until=Greatest("until", until))
            if cause == AccountPause.Cause.UNAUTHORIZED:
                row.update(cause=cause, reason=reason)

    def admission(self, *, source: str, account: str) -> Admission:
        """Whether a file of this account may be fetched now. A pause that is over may need a trial.

        Of an account whose credentials were refused one file is fetched as a trial, and the pause
        goes on for the others. Call it in the transaction that claims the file.
        """
        row = self.filter(id=computed_id("pause", source, account))
        cause = row.values_list("cause", flat=True).first()
        if cause is None:
            return Admission.FREE
        if cause == AccountPause.Cause.THROTTLED:
            # No trial is needed: the provider itself said when.
            row.filter(cause=cause, until__lte=Now()).delete()
            is_paused = row.in_force().exists()
            return Admission.REFUSED if is_paused else Admission.FREE
        is_first = (
            row.filter(until__lte=Now()).update(until=Now() + TRIAL_INTERVAL) == 1
        )
        return Admission.TRIAL if is_first else Admission.REFUSED

    def lift(self, *, source: str, account: str) -> None:
        """End the pause: the account works again."""
        self.filter(id=computed_id("pause", source, account)).delete()


class Admission(models.TextChoices):
    """Whether a file of an account may be fetched now: freely, as the account's trial, or not."""

    FREE = "free"
    TRIAL = "trial"
    REFUSED = "refused"


class AccountPause(models.Model):
    """An account that the provider refuses, or asks to slow down: none of its files is fetched
    meanwhile.
    """

    class Cause(models.TextChoices):
        UNAUTHORIZED = "unauthorized", "credentials refused"
        THROTTLED = "throttled", "asked to slow down"

    # uuid5 of "pause|source|account": one row for each account.
    id = models.UUIDField(primary_key=True, editable=False)
    source = models.CharField(max_length=32)
    account = models.TextField(blank=True)
    cause = models.CharField(max_length=16, choices=Cause)
    reason = models.TextField()
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(
        help_text="When the next trial is due; a throttled account is free then."
    )

    objects = AccountPauseQuerySet.as_manager()

    class Meta:
        verbose_name = "paused account"
        ordering = ("since", "id")

    def __str__(self) -> str:
        return f"{self.source} {self.account}"
