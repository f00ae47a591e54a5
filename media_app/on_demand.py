"""A file that somebody wants to see before it is kept: fetched now, and once, however many ask.

All viewers of a file in this process wait for one ``Demand``. Its thread takes the row's ordinary
lease and ingests the file as a worker does; where somebody else holds the lease, it watches the
row. A failure is remembered by the row itself: until its next attempt is due nobody asks the
provider. Who waits holds no database connection.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection

from media_app import filetypes
from media_app.ingest import ingest
from media_app.models import Lease, Media
from media_app.spool import Spool
from media_app.timing import VIEWER_WAIT_SECONDS

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)

# How often a row is looked at that somebody else works on; one look for all viewers of a process.
LOOK_EVERY_SECONDS = 0.1
# A viewer of a larger file gets it while it arrives.
LARGE = 32 * 1024 * 1024


class Demand:
    """One file that viewers of this process wait for."""

    def __init__(self, media_id: UUID) -> None:
        self.media_id = media_id
        self.spool: Spool | None = None
        #: The row as it was stored by this demand.
        self.media: Media | None = None
        #: Set when there is nothing more to wait for.
        self.done = threading.Event()
        # Viewers, and the thread itself.
        self.holders = 0

    def wait(self, *, until_large: bool = False) -> None:
        """Return when the outcome is known or VIEWER_WAIT_SECONDS have passed.

        With ``until_large`` also as soon as a large file has begun to arrive.
        """
        deadline = time.monotonic() + VIEWER_WAIT_SECONDS
        while not self.done.wait(
            LOOK_EVERY_SECONDS if until_large else VIEWER_WAIT_SECONDS
        ):
            if time.monotonic() > deadline or (until_large and self.is_large):
                return

    @property
    def is_large(self) -> bool:
        """Whether a large file is arriving of which enough is there to tell its type."""
        spool = self.spool
        return (
            spool is not None
            and (spool.expected or 0) > LARGE
            and spool.size >= filetypes.HEAD
        )

    def fetch(self) -> None:
        """Fetch the file if it is due, or wait for whoever does."""
        deadline = time.monotonic() + VIEWER_WAIT_SECONDS
        files = Media.objects.filter(id=self.media_id)
        while time.monotonic() < deadline:
            if files.due().exists():
                # None while somebody else is just claiming it.
                if (lease := files.claim()) is not None:
                    self._ingest(lease)
                    return
            elif not files.filter(state=Media.State.FETCHING).exists():
                return
            connection.close()
            time.sleep(LOOK_EVERY_SECONDS)

    def _ingest(self, lease: Lease) -> None:
        connection.close()
        self.spool = Spool(settings.MEDIA_MAX_BYTES)
        ingest(lease, self.spool)
        # Made a real file once, here: its viewers read it side by side.
        self.spool.file.fileno()
        self.media = lease.media if lease.media.is_stored else None


_lock = threading.Lock()
_demands: dict[UUID, Demand] = {}


@contextmanager
def demanded(media_id: UUID) -> Iterator[Demand]:
    """The demand for this file: the one that others wait for already, or a new one."""
    with _lock:
        demand = _demands.get(media_id)
        if demand is None:
            demand = _demands[media_id] = Demand(media_id)
            _take(demand)
            threading.Thread(
                target=_run, args=(demand,), name=f"demand-{media_id}", daemon=True
            ).start()
        _take(demand)
    try:
        yield demand
    finally:
        with _lock:
            _leave(demand)


def _run(demand: Demand) -> None:
    try:
        demand.fetch()
    except Exception:
        # Viewers look at the row again and find out for themselves.
        log.exception(
            "not fetched for its viewers", extra={"media": str(demand.media_id)}
        )
    finally:
        connection.close()
        with _lock:
            del _demands[demand.media_id]
            _leave(demand)
        demand.done.set()


def _take(demand: Demand) -> None:
    demand.holders += 1


def _leave(demand: Demand) -> None:
    demand.holders -= 1
    if demand.holders == 0 and demand.spool is not None:
        demand.spool.close()
