"""A file that is requested before it is stored: fetched at once, and once for all its viewers.

All viewers of a file in this process wait for one ``SharedFetch``. Its thread claims the row's
ordinary lease and ingests the file as a worker does; where a worker holds the lease, it polls the
row. A failure is written on the row: until its next attempt is due the provider is not called.
Waiting viewers hold no database connection.
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

# How often the row is polled while a worker fetches the file; once for all viewers of a process.
POLL_SECONDS = 0.1
# A larger file is sent while it arrives.
LARGE = 32 * 1024 * 1024


class SharedFetch:
    """The fetch of one file, shared by all viewers of this process who wait for it."""

    def __init__(self, media_id: UUID) -> None:
        self.media_id = media_id
        self.spool: Spool | None = None
        #: The row as it was stored by this fetch.
        self.media: Media | None = None
        #: Set when the outcome is known.
        self.done = threading.Event()
        # How many use the spool: viewers, and the thread itself.
        self.holders = 0

    def wait(self, *, until_large_file_arrives: bool = False) -> None:
        """Return when the outcome is known or VIEWER_WAIT_SECONDS have passed.

        With ``until_large_file_arrives`` also as soon as a large file has begun to arrive.
        """
        deadline = time.monotonic() + VIEWER_WAIT_SECONDS
        poll = POLL_SECONDS if until_large_file_arrives else VIEWER_WAIT_SECONDS
        while not self.done.wait(poll):
            if time.monotonic() > deadline or (
                until_large_file_arrives and self.is_large
            ):
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

    def run(self) -> None:
        """Fetch the file if it is due, or wait for the worker that does."""
        deadline = time.monotonic() + VIEWER_WAIT_SECONDS
        files = Media.objects.filter(id=self.media_id)
        while time.monotonic() < deadline:
            if files.due().exists():
                # None while a worker is just claiming it.
                if (lease := files.claim()) is not None:
                    self._ingest(lease)
                    return
            elif not files.filter(state=Media.State.FETCHING).exists():
                return
            connection.close()
            time.sleep(POLL_SECONDS)

    def _ingest(self, lease: Lease) -> None:
        connection.close()
        self.spool = Spool(settings.MEDIA_MAX_BYTES)
        ingest(lease, self.spool)
        # Makes it a real file, once: its viewers read it at the same time.
        self.spool.file.fileno()
        if lease.media.is_stored:
            self.media = lease.media


_lock = threading.Lock()
_fetches: dict[UUID, SharedFetch] = {}


@contextmanager
def shared_fetch(media_id: UUID) -> Iterator[SharedFetch]:
    """The fetch of this file that its viewers share: the one that runs, or a new one."""
    with _lock:
        fetch = _fetches.get(media_id)
        if fetch is None:
            fetch = _fetches[media_id] = SharedFetch(media_id)
            _hold(fetch)
            threading.Thread(
                target=_run, args=(fetch,), name=f"fetch-{media_id}", daemon=True
            ).start()
        _hold(fetch)
    try:
        yield fetch
    finally:
        with _lock:
            _release(fetch)


def _run(fetch: SharedFetch) -> None:
    try:
        fetch.run()
    except Exception:
        # Viewers read the row again.
        log.exception(
            "not fetched for its viewers", extra={"media": str(fetch.media_id)}
        )
    finally:
        connection.close()
        with _lock:
            del _fetches[fetch.media_id]
            _release(fetch)
        fetch.done.set()


def _hold(fetch: SharedFetch) -> None:
    fetch.holders += 1


def _release(fetch: SharedFetch) -> None:
    fetch.holders -= 1
    if fetch.holders == 0 and fetch.spool is not None:
        fetch.spool.close()
