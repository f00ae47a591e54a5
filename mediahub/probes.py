"""Asking a part whether it works, without waiting for it longer than LIMIT_SECONDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Event, Lock, Thread

LIMIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a part said."""

    is_ok: bool
    text: str


SILENT = Outcome(False, f"failed: No answer within {LIMIT_SECONDS:g} s.")


class Probe:
    """The check of one part. At most one runs at a time in a process, whoever asks and however long
    it hangs.
    """

    def __init__(self, check: Callable[[], Outcome]) -> None:
        self._check = check
        self._lock = Lock()
        self._last: _Run | None = None

    def start(self, max_age: float) -> _Run:
        """The check that is running, or one that began within the last ``max_age`` seconds, or a
        new one.
        """
        with self._lock:
            if self._last is None or self._last.is_over(max_age):
                self._last = _Run(self._check)
            return self._last

    def forget(self) -> None:
        """The next one to ask starts a new check."""
        with self._lock:
            self._last = None


def ask(
    probes: Mapping[str, Probe], names: Collection[str], *, max_age: float
) -> dict[str, Outcome]:
    """What the parts say, asked all at once."""
    runs = {name: probes[name].start(max_age) for name in names}
    return {name: run.outcome() for name, run in runs.items()}


class _Run:
    """One check in a thread of its own: what hangs in the system can't be cut, only left behind."""

    def __init__(self, check: Callable[[], Outcome]) -> None:
        self._check = check
        self._began = time.monotonic()
        self._done = Event()
        self._outcome = SILENT
        Thread(target=self._work, name="probe", daemon=True).start()

    def is_over(self, max_age: float) -> bool:
        return self._done.is_set() and time.monotonic() - self._began >= max_age

    def outcome(self) -> Outcome:
        """Waits until the check ends, but not past its limit."""
        self._done.wait(max(self._began + LIMIT_SECONDS - time.monotonic(), 0))
        return self._outcome

    def _work(self) -> None:
        try:
            self._outcome = self._check()
        finally:
            self._done.set()
