"""One run of an erasure: its lease, its limits, and what the steps have in common."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.db import Error, connection, transaction
from django.db.models import QuerySet

from media_app import tombstones
from messages_app.erasing.person import Person, owners_of
from messages_app.models import DrainLease, ErasureRequest
from messages_app.timing import ERASURE_LEASE, ERASURE_PATIENCE_SECONDS

LOOK_AGAIN_SECONDS = 0.2


class WaitingError(Exception):
    """The erasure can't go on now. The text says to staff why, without personal data."""


class OutOfTimeError(Exception):
    """This run has used its time, or lost its lease; the next one goes on."""


class Run:
    """What a step is given."""

    def __init__(
        self,
        request: ErasureRequest,
        token: UUID,
        *,
        seconds: float | None = None,
        progress: Callable[[int], None] = lambda number: None,
    ) -> None:
        self.request = request
        self._token = token
        self._ends_at = time.monotonic() + seconds if seconds is not None else None
        self._progress = progress
        self._has_erased = False
        #: Whether Redis said that it keeps no failed job any more.
        self.is_queue_clear = False
        self.find_person()

    def find_person(self) -> None:
        """Look again who the person is, and until when: contacts may have been merged meanwhile,
        and a second request reaches further.
        """
        self.request.refresh_from_db()
        owners = {each for one in self.request.owners for each in owners_of(one)}
        self.person = Person(tuple(sorted(owners)), self.request.until)

    def held(self) -> QuerySet[ErasureRequest]:
        """The request, while it is ours and reaches as far as it did when the person was looked
        for.
        """
        held = ErasureRequest.objects.held(self.request.id, self._token)
        return held.filter(until=self.request.until)

    def go_on(self) -> None:
        """Call it before each batch. Raises WaitingError where a contact is on hold now, or the
        lease was lost; OutOfTimeError.
        """
        if not ErasureRequest.objects.renew(self.request.id, self._token):
            raise OutOfTimeError
        # Only after something was erased: the last pass, which finds nothing, is never cut short.
        is_over = self._ends_at is not None and time.monotonic() >= self._ends_at
        if is_over and self._has_erased:
            raise OutOfTimeError
        self.check_hold()

    def check_hold(self) -> None:
        if self.person.is_held:
            raise WaitingError(
                "The contact is on hold. The erasure goes on when the hold ends."
            )

    @contextmanager
    def contacts_locked(self) -> Iterator[None]:
        """A transaction in which nobody puts the contacts on hold, or writes their sessions."""
        with transaction.atomic():
            locked = list(self.person.contacts.order_by("id").select_for_update())
            if any(contact.is_held for contact in locked):
                self.check_hold()
            yield

    def keep_tombstones(self, ids: Iterable[UUID]) -> None:
        """Raises KeyMissingError."""
        digests = [tombstones.digest_of(str(id)) for id in ids]
        tombstones.add(digests, self.request.id)

    def count(self, **numbers: int) -> None:
        """Add to the counts of the request, in the caller's transaction if there is one."""
        counts = Counter({name: number for name, number in numbers.items() if number})
        if counts:
            self._has_erased = True
            self.request.add_counts(counts)
            self._progress(counts.total())

    def patience(self) -> Iterator[None]:
        """Turns of waiting for others, until the time for that is over."""
        ends_at = time.monotonic() + ERASURE_PATIENCE_SECONDS
        while time.monotonic() < ends_at:
            yield
            self.go_on()
            time.sleep(LOOK_AGAIN_SECONDS)


@contextmanager
def renewed(id: UUID, token: UUID) -> Iterator[None]:
    """Renew the lease of a request from a thread of its own: reading all bodies takes long."""
    done = threading.Event()
    seconds = ERASURE_LEASE.total_seconds() / 3

    def renew() -> None:
        while not done.wait(seconds):
            # The lease lasts for a while; the next renewal may work.
            with suppress(Error):
                ErasureRequest.objects.renew(id, token)
            connection.close()

    thread = threading.Thread(target=renew, name="erasure-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class ClosedInbox:
    """The inbox while nobody else drains it: no message of the person comes up in between."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._token: UUID | None = None

    def __enter__(self) -> ClosedInbox:
        for _ in self._run.patience():
            self._token = DrainLease.acquire()
            if self._token is not None:
                return self
        raise WaitingError("Deliveries are being read without a pause.")

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            DrainLease.release(self._token)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A transaction that ends before anybody else can drain the inbox."""
        self._run.go_on()
        with self._run.contacts_locked():
            if self._token is None or not DrainLease.renew(self._token):
                raise WaitingError("Reading deliveries took the lease back.")
            yield
