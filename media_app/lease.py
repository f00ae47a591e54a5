"""Keeping a lease alive while the work goes on, and ending the work when it is lost."""

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

    When another worker has taken the file over, the transfer is cut: its result would
    be as right as ours, so there is no use in both.
    """
    done = threading.Event()

    def renew() -> None:
        while not done.wait(every.total_seconds()) and deadline.remaining() > 0:
            try:
                held = Media.objects.renew(
                    lease, min(FETCH_LEASE, timedelta(seconds=deadline.remaining()))
                )
            except Error as error:
                # The lease runs on for a while; the database may be back by the next turn.
                log.warning(
                    "lease not renewed",
                    extra={"media": str(lease.media.id), "error": str(error)},
                )
                continue
            finally:
                # Between two turns others need the connection, and Django keeps a broken one until
                # it is told.
                connection.close()
            if not held:
                deadline.cut("Another worker has taken this file over.")
                return

    keeper = threading.Thread(target=renew, name=f"lease-{lease.media.id}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
