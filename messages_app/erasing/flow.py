"""The steps of an erasure, repeated until they find nothing.

Each step may be the last one before the process dies, and two processes may be at it: what a step
has to do it sees from what is there, and the whole is done when all of it was looked through once
more and nothing was left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from media_app import installation, tombstones
from media_app.clock import database_now
from media_app.failpoints import failpoint
from media_app.models import Tombstone
from media_app.storage import StorageError, media_storage
from messages_app.erasing import records
from messages_app.erasing.deliveries import erase_deliveries
from messages_app.erasing.files import (
    delete_files,
    delete_unknown_objects,
    move_shared,
)
from messages_app.erasing.marks import keep_tombstones
from messages_app.erasing.person import address_of, owners_of
from messages_app.erasing.provider_copies import delete_provider_copies
from messages_app.erasing.queued import erase_failed_jobs
from messages_app.erasing.rows import erase_rows
from messages_app.erasing.run import OutOfTimeError, Run, WaitingError, renewed
from messages_app.models import ErasureRequest, Message
from messages_app.timing import (
    ERASURE_DUE,
    ERASURE_RECORDS_SECONDS,
    ERASURE_RUN_SECONDS,
)

log = logging.getLogger(__name__)

State = ErasureRequest.State

#: Each returns how much it found to erase.
STEPS: tuple[tuple[str, Callable[[Run], int]], ...] = (
    ("tombstones", keep_tombstones),
    ("provider_copies", delete_provider_copies),
    ("shared_files", move_shared),
    ("files", delete_files),
    ("objects", delete_unknown_objects),
    ("deliveries", erase_deliveries),
    ("rows", erase_rows),
    ("failed_jobs", erase_failed_jobs),
)
# More only while something keeps coming back.
MOST_PASSES = 5

_records_compared_at: float | None = None


def is_key_lost() -> bool:
    """Whether people were erased with a key that is not set any more."""
    known = tombstones.key_ids()
    return ErasureRequest.objects.exclude(key_id__in=known).exists()


class BusinessError(Exception):
    """The business itself can't be erased."""


def check_key() -> None:
    """Raises KeyMissingError unless ERASURE_KEY is set and knows what was erased before."""
    tombstones.digest_of("")
    if is_key_lost():
        raise tombstones.KeyMissingError(
            "ERASURE_KEY is not the key that others were erased with: they would come back. "
            "Put the former key behind the new one, after a comma."
        )


def request_erasure(
    owner: str, *, requested_by: str, due_at: datetime | None = None
) -> ErasureRequest:
    """A durable request for all that reached the hub until now. An open one for the same person
    goes on, and reaches until now as well. Raises KeyMissingError, BusinessError.
    """
    check_key()
    owners = owners_of(owner)
    check_person(owners)
    now = database_now()
    for request in ErasureRequest.objects.open():
        is_theirs = not set(request.owners).isdisjoint(owners)
        if is_theirs and _prolong(request, owners, until=now):
            return request
    return ErasureRequest.objects.create(
        requested_by=requested_by,
        until=now,
        due_at=due_at or now + ERASURE_DUE,
        owners=owners,
        owner_digests=_digests_of(owners),
        key_id=tombstones.key_ids()[0],
    )


def _prolong(request: ErasureRequest, owners: list[str], *, until: datetime) -> bool:
    """Let an open request reach further; False where it has ended meanwhile."""
    request.owners = sorted({*request.owners, *owners})
    request.until = until
    request.owner_digests = _digests_of(request.owners)
    # The messages since then have ids of any order: all are asked for again.
    request.asked_until = None
    still_open = ErasureRequest.objects.open().order_by().filter(id=request.id)
    prolonged = still_open.update(
        owners=request.owners,
        until=request.until,
        owner_digests=request.owner_digests,
        asked_until=request.asked_until,
    )
    return prolonged == 1


def check_person(owners: list[str]) -> None:
    """Raises BusinessError: what the business wrote from its phone belongs to its customers."""
    numbers = {address_of(each) for each in owners}
    sent = Message.objects.filter(owner__in=owners, direction=Message.Direction.SENT)
    written = {*numbers, *(f"+{number}" for number in numbers)}
    if sent.exists() or Message.objects.filter(business__in=written).exists():
        raise BusinessError(
            "That is the business's own number: whatever was written to it, or from it, "
            "belongs to customers. Erase them one by one."
        )


def _digests_of(owners: list[str]) -> list[str]:
    return sorted(tombstones.digest_of(owner) for owner in owners)


def carry_out(
    id: UUID,
    *,
    seconds: float | None = None,
    progress: Callable[[int], None] = lambda number: None,
) -> bool:
    """Go on with a request until it is done, has to wait, or ``seconds`` are over. False while
    another process is at it.
    """
    token = ErasureRequest.objects.claim(id)
    if token is None:
        return False
    request = ErasureRequest.objects.get(id=id)
    state, reason = State.WAITING, "It was stopped. The next sweep goes on."
    try:
        with renewed(id, token):
            run = Run(request, token, seconds=seconds, progress=progress)
            _repeat(run)
            while not _finish(run):
                _repeat(run)
        return True
    except WaitingError as error:
        reason = str(error)
    except OutOfTimeError:
        state, reason = State.RUNNING, ""
    except StorageError as error:
        # Without the error's text, which may name a key.
        reason = (
            f"The storage does not answer, or is not ours ({type(error).__name__})."
        )
    except tombstones.KeyMissingError as error:
        reason = str(error)
    finally:
        ErasureRequest.objects.release(id, token, state=state, reason=reason)
    return True


def _repeat(run: Run) -> None:
    for _ in range(MOST_PASSES):
        run.find_person()
        _note_owners(run)
        run.check_hold()
        found = 0
        for name, step in STEPS:
            run.go_on()
            found += step(run)
            failpoint(f"erase_after_{name}")
        if not found:
            return
        # What came up meanwhile has an id of any order.
        run.held().update(asked_until=None)
    raise WaitingError("More kept coming while it was erased.")


def _note_owners(run: Run) -> None:
    """Keep owners that became known since: when the contact is gone, only the request has them."""
    request, owners = run.request, list(run.person.owners)
    if owners == request.owners:
        return
    request.owners, request.owner_digests = owners, _digests_of(owners)
    run.held().update(owners=owners, owner_digests=request.owner_digests)


def _finish(run: Run) -> bool:
    """Nothing was found: write the certificate, and forget whom it is about. False where the
    request reaches further by now, or the lease was lost.
    """
    request = run.request
    request.certificate = _certificate(run)
    # First the record: what is done in the database has one.
    records.write(request)
    failpoint("erase_after_record")
    finished = run.held().update(
        state=State.DONE,
        reason="",
        owners=[],
        asked_until=None,
        certificate=request.certificate,
        ended_at=Now(),
        lease_token=None,
        lease_until=None,
    )
    if finished:
        log.info("erased", extra={"erasure": str(request.id)})
    return finished == 1


def _certificate(run: Run) -> dict[str, Any]:
    request = run.request
    return {
        "request": str(request.id),
        "requested_by": request.requested_by,
        "requested_at": request.requested_at.isoformat(),
        "until": request.until.isoformat(),
        "due_at": request.due_at.isoformat(),
        "done_at": database_now().isoformat(),
        "owners": request.owner_digests,
        "erased": request.counts,
        "tombstones": Tombstone.objects.filter(erasure_id=request.id).count(),
        "found_in_the_last_listing": 0,
        "failed_jobs_deleted": run.is_queue_clear,
    }


def sweep(seconds: float = ERASURE_RUN_SECONDS) -> int:
    """Go on with open requests, and look from time to time for people that a restored backup has
    brought back. Returns how many requests it worked on.

    Raises KeyMissingError where people were erased and ERASURE_KEY is lost: nobody can say then
    who comes back.
    """
    if is_key_lost():
        check_key()
    if not settings.ERASURE_KEY:
        return 0
    _compare_records()
    ends_at = time.monotonic() + seconds
    worked_on = 0
    for id in list(ErasureRequest.objects.open().values_list("id", flat=True)):
        left = ends_at - time.monotonic()
        if worked_on and left <= 0:
            break
        worked_on += carry_out(id, seconds=left)
    return worked_on


def _compare_records() -> None:
    global _records_compared_at
    now = time.monotonic()
    last = _records_compared_at
    if last is not None and now - last < ERASURE_RECORDS_SECONDS:
        return
    try:
        records.compare()
    except StorageError as error:
        log.warning(
            "the records of erasures were not read",
            extra={"error": type(error).__name__},
        )
    # After a failure, too: a silent storage must not hold up each pass.
    _records_compared_at = now


def is_running() -> bool:
    """Whether a sweep has more to do at once."""
    return ErasureRequest.objects.filter(state=State.RUNNING).exists()


def check_storage() -> None:
    """Raises StorageError where it is down, ForeignStorageError where it is not ours."""
    installation.check(media_storage())
