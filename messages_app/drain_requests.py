"""Enqueue drain jobs beside the webhooks' answers: no provider waits for Redis, and many webhooks
share one job.
"""

from __future__ import annotations

import logging
import os
import threading

from messages_app import jobs
from messages_app.timing import ENQUEUE_INTERVAL_SECONDS

log = logging.getLogger(__name__)


class DrainRequests:
    """A thread of this process enqueues a drain job for the requests that were added. It starts
    with the first one: after any fork.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._pid = 0

    def add(self) -> None:
        """Request a drain job, after the commit. It is enqueued at once, or within
        ENQUEUE_INTERVAL_SECONDS of the last one.
        """
        self._requested.set()
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    threading.Thread(
                        target=self._run, name="drain-requests", daemon=True
                    ).start()
                    self._pid = os.getpid()

    def _run(self) -> None:
        while True:
            self._requested.wait()
            # Cleared first: a request that comes during the call below needs another call.
            self._requested.clear()
            try:
                jobs.enqueue_drain()
            except Exception:
                # The sweeper finds the deliveries; but the next requests need this thread.
                log.exception("no drain job enqueued")
            threading.Event().wait(ENQUEUE_INTERVAL_SECONDS)


drain_requests = DrainRequests()
