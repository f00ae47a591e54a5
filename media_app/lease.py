"""Renewing a lease while the work goes on, and ending the work when the lease is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import Error, connection

from media_app.models import Lease, Media
from media_app.sources.deadline import Deadline
from media_app.timing import FETCH_LEASE, LEASE_RENEWAL_INTERVAL

log = logging.getLogger(__name__)


@contextmanager
def renewed(
    lease: Lease, deadline: Deadline, *, every: timedelta = LEASE_RENEWAL_INTERVAL
) -> Iterator[None]:
    """Renew ``lease`` from a thread of its own until the block ends or the deadline passes, never
    past the deadline.

    When another worker has claimed the file, the transfer is cut: one of both is enough.
    """
    done = threading.Event()

    def renew() -> None:
        while not done.wait(every.total_seconds()) and deadline.remaining() > 0:
            try:
                held = Media.objects.renew(
                    lease, min(FETCH_LEASE, timedelta(seconds=deadline.remaining()))
                )
            except Error as error:
                # The lease lasts for a while; the database may be back by the next renewal.
                log.warning(
                    "lease not renewed",
                    extra={"media": str(lease.media.id), "error": str(error)},
                )
                continue
            finally:
                # Others need the connection meanwhile, and Django would keep a broken one.
                connection.close()
            if not held:
                deadline.cut("Another worker has taken this file over.")
                return

    renewer = threading.Thread(
        target=renew, name=f"lease-{lease.media.id}", daemon=True
    )
    renewer.start()
    try:
        yield
    finally:
        done.set()
        renewer.join()
