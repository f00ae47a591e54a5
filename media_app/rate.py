"""How fast one process begins with files, over all its threads."""

from __future__ import annotations

import threading
import time

FILES_PER_SECOND = 20

_lock = threading.Lock()
_next_start = 0.0


def wait_for_turn() -> None:
    """Wait until this process may begin with a file: a provider that was down must not get all
    requests at once when it is back.
    """
    global _next_start
    with _lock:
        now = time.monotonic()
        start = max(_next_start, now)
        _next_start = start + 1 / FILES_PER_SECOND
    time.sleep(start - now)
