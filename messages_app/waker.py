"""Giving the inbox's hint beside the answers: no provider waits for Redis, and a storm of webhooks
is few hints.
"""

from __future__ import annotations

import logging
import os
import threading

from messages_app import jobs

log = logging.getLogger(__name__)

# Between two hints of one process. Whatever is kept meanwhile shares the next one.
PAUSE_SECONDS = 0.02


class Waker:
    """A thread for each process that gives the hint; it starts with the first wish, after any
    fork.
    """

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._pid = 0

    def wake(self) -> None:
        """Wish for a hint, after the commit. It is given at once, or within PAUSE_SECONDS of the
        last one.
        """
        self._wanted.set()
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    threading.Thread(
                        target=self._run, name="waker", daemon=True
                    ).start()
                    self._pid = os.getpid()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            # Cleared first: a wish that comes while the hint is given is another one.
            self._wanted.clear()
            try:
                jobs.wake_inbox()
            except Exception:
                # The sweeper finds the work; but the next hint needs this thread.
                log.exception("no hint given")
            threading.Event().wait(PAUSE_SECONDS)


waker = Waker()
