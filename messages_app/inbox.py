"""The drainer: reads stored deliveries in batches, one transaction for each batch.

The inbox is the deliveries that are due; to drain it is to read them; the drainer is the process
that does. There is one drainer at a time. The resulting rows do not depend on the order of
deliveries.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from uuid import UUID

from django.db import Error, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Length
from rq.timeouts import BaseTimeoutException

from media_app.database_errors import is_outage
from media_app.failpoints import failpoint
from messages_app import outbox_queues, rebuilds
from messages_app.delivery_batches import ALONE_FROM, QUARANTINED_FROM, read_batch
from messages_app.inbox_faults import database_works_without, is_ambiguous, log_error
from messages_app.models import Delivery, DeliveryQuerySet, DrainLease
from messages_app.timing import (
    DRAIN_RUN_SECONDS,
    INBOX_LOOK_SECONDS,
    LOCK_TIMEOUT_SECONDS,
)

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class _Run:
    """What one run of a drainer knows."""

    ends_at: float
    read: int = 0
    #: After a batch has failed for no clear reason, deliveries are read one by one: that shows
    #: which one it was.
    reads_one_by_one: bool = False
    #: Deliveries that failed alone for no clear reason. Each has one attempt in a run.
    failed_alone: set[str] = field(default_factory=set)
    is_database_fine: bool = False

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at


def drain(seconds: float = DRAIN_RUN_SECONDS) -> int:
    """Read deliveries that are due. Returns how many; 0 at once while another drainer runs.

    Begins no batch after ``seconds``: the caller has other duties. Raises django.db.Error when the
    database fails: the rest stays due.
    """
    run = _Run(ends_at=time.monotonic() + seconds)
    while (token := DrainLease.acquire()) is not None:
        try:
            # First the rebuilds that a drainer which died has left.
            _rebuild_sessions()
            _drain_with_lease(token, run)
        finally:
            DrainLease.release(token)
        # A drainer that started between the last look and the release found the lease held, and
        # ended: look once more.
        left = Delivery.objects.due().exclude(id__in=run.failed_alone)
        if run.is_over or not left.exists():
            break
    return run.read


def drain_until_read(deliveries: DeliveryQuerySet) -> None:
    """Have these deliveries read, by this process or by the drainer that runs. Raises
    django.db.Error.
    """
    while deliveries.due().exists():
        if not drain():
            time.sleep(INBOX_LOOK_SECONDS)


def _drain_with_lease(token: UUID, run: _Run) -> None:
    while batch := _next_batch(run):
        rows = Delivery.objects.filter(id__in=[delivery.id for delivery in batch])
        # Committed first: a delivery that kills its reader is counted.
        rows.update(attempts=F("attempts") + 1)
        failpoint("inbox_after_count")
        try:
            with transaction.atomic():
                # In the transaction: nobody else acquires it, however long the batch takes.
                is_ours = DrainLease.renew(token)
                if is_ours:
                    _limit_lock_waits()
                    read_batch(batch)
                    failpoint("inbox_before_commit")
            if not is_ours:
                # The batch was not begun.
                _uncount_attempt(rows)
                break
            failpoint("inbox_after_commit")
        except Exception as error:
            _handle(error, batch, rows, run)
        else:
            run.read += len(batch)
            run.is_database_fine = True
        _rebuild_sessions()
        if run.is_over:
            break


def _handle(
    error: Exception, batch: Sequence[Delivery], rows: QuerySet[Delivery], run: _Run
) -> None:
    """Decide whether the attempt counts against the batch, and whether the run goes on. It ends by
    raising the error.

    ========================================================  =============  =======================
    what may have caused the error                            stays counted  the run
    ========================================================  =============  =======================
    the database as a whole                                   no             ends
    the job has no time left, or even quarantine failed       yes            ends
    the delivery or the database, in a batch of several       no             goes on, one by one
    the delivery or the database, of one delivery alone:
    - the database works without it                           yes            goes on with the others
    - the database does not                                   no             ends
    anything else                                             yes            goes on
    ========================================================  =============  =======================
    """
    if is_outage(error):
        _uncount_attempt(rows)
        raise error
    # The instances have the number from before this attempt: quarantine itself was tried.
    quarantine_failed = batch[0].attempts >= QUARANTINED_FROM
    if isinstance(error, BaseTimeoutException) or quarantine_failed:
        raise error
    if is_ambiguous(error):
        if len(batch) > 1:
            _uncount_attempt(rows)
            run.reads_one_by_one = True
            return
        run.failed_alone.add(batch[0].id)
        run.is_database_fine = run.is_database_fine or database_works_without(batch[0])
        if not run.is_database_fine:
            _uncount_attempt(rows)
            raise error
    log_error(
        "a batch could not be kept",
        error,
        deliveries=[delivery.id for delivery in batch],
    )


def _limit_lock_waits() -> None:
    """Wait no longer than LOCK_TIMEOUT_SECONDS for a lock: the error then names the lock, long
    before the job's time is over.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A limit that is set in the database's own configuration stays.
            unlimited = "current_setting('lock_timeout') = '0'"
            cursor.execute(
                f"SELECT set_config('lock_timeout', %s, true) WHERE {unlimited}",
                [f"{LOCK_TIMEOUT_SECONDS}s"],
            )


def _rebuild_sessions() -> None:
    """After the messages are committed, so that no message is lost by an error in its session."""
    if rebuilds.rebuild_due():
        outbox_queues.enqueue_senders()


def _uncount_attempt(rows: QuerySet[Delivery]) -> None:
    """Undo the count of this attempt. Where the database does not accept even this, it counts."""
    # A replay may have set the count to 0 meanwhile.
    with suppress(Error):
        rows.filter(attempts__gt=0).update(attempts=F("attempts") - 1)


def _next_batch(run: _Run) -> list[Delivery]:
    """The oldest due deliveries, limited in number and bytes; then those that failed before, each
    alone.
    """
    due = Delivery.objects.due().exclude(id__in=run.failed_alone)
    ids = _ids_of_batch(due.filter(attempts__lt=ALONE_FROM), run)
    if not ids:
        # The least tried first, so that each has its turn.
        in_turn = due.order_by("attempts", "received_at", "id")
        ids = list(in_turn.values_list("id", flat=True)[:1])
    return list(Delivery.objects.due().filter(id__in=ids))


def _ids_of_batch(deliveries: QuerySet[Delivery], run: _Run) -> list[str]:
    """The first ones, at least one, up to BATCH and BATCH_BYTES."""
    limit = 1 if run.reads_one_by_one else BATCH
    sized = deliveries.annotate(bytes=Length("body")).values_list("id", "bytes")
    rows = list(sized[:limit])
    totals = accumulate(size for _, size in rows)
    fitting = [
        id for (id, _), total in zip(rows, totals, strict=True) if total <= BATCH_BYTES
    ]
    return fitting or [id for id, _ in rows[:1]]
