"""What a command says: one line for each thing, how far it is, and what it counted."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from typing import NoReturn, TextIO

from tqdm import tqdm

from media_app.timing import PROGRESS_LINE_SECONDS

# The lines that are kept for staff: the last ones.
MAX_KEPT_LINES = 200


class StoppedError(Exception):
    """The run ends early: a signal asks for it, or its lease is lost."""


class Report:
    """Lines on ``out``, progress on ``err``: a bar on a terminal, else a line now and then.

    With ``is_json`` each line is a JSON object, and the last one is the summary. Threads may share
    a report only with a lock of theirs.
    """

    def __init__(self, out: TextIO, err: TextIO, *, is_json: bool = False) -> None:
        self._out = out
        self._err = err
        self._is_json = is_json
        self._began = self._last_line = time.monotonic()
        self._total: int | None = None
        self._bar: tqdm[NoReturn] | None = None
        self._done = 0
        self.counts: Counter[str] = Counter()
        #: How many things could not be done. More than 0: the command exits 3.
        self.failed = 0
        #: sha256 of the plan that the command writes or applies.
        self.plan_digest = ""
        #: The last lines without personal data, for staff.
        self.kept: deque[str] = deque(maxlen=MAX_KEPT_LINES)
        self._stop_reason = ""

    def stop(self, reason: str) -> None:
        """Let the next call of ``advance`` or ``line`` raise StoppedError."""
        self._stop_reason = reason

    def expect(self, total: int) -> None:
        """Of how many things ``advance`` will tell."""
        self._total = total
        if self._err.isatty():
            self._bar = tqdm(total=total, file=self._err, dynamic_ncols=True)

    def advance(self, number: int = 1) -> None:
        """So many things more are done."""
        self._raise_if_stopped()
        self._done += number
        if self._bar is not None:
            self._bar.update(number)
        elif time.monotonic() - self._last_line >= PROGRESS_LINE_SECONDS:
            self._last_line = time.monotonic()
            self._err.write(f"{self._progress()}\n")
            self._err.flush()

    def count(self, name: str, number: int = 1) -> None:
        """Add to a number of the summary."""
        self.counts[name] += number

    def fail(self, name: str, number: int = 1) -> None:
        """Count things that could not be done."""
        self.count(name, number)
        self.failed += number

    def line(self, text: str, /, **fields: object) -> None:
        """Tell of one thing: ``text`` for people, ``fields`` for programs."""
        self._raise_if_stopped()
        if self._is_json:
            text = _json(fields)
        if self._bar is not None:
            # The bar moves down: the line stays above it.
            self._bar.clear()
        self._out.write(f"{text}\n")

    def impersonal_line(self, text: str, /, **fields: object) -> None:
        """A line without keys, names and numbers of people: staff see it on the run's page."""
        self.line(text, **fields)
        self.kept.append(text)

    def note(self, text: str) -> None:
        """Tell people something that is no result; programs do not see it."""
        if not self._is_json:
            self.line(text)

    def tell(self, text: str) -> None:
        """Tell whoever watches the progress, now."""
        if self._bar is not None:
            self._bar.clear()
        self._err.write(f"{text}\n")
        self._err.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def summarize(self, command: str, outcome: str) -> None:
        """The last line: ``{"command": …, "outcome": …, "counts": {…}}``, or the counts in
        words.
        """
        self.close()
        if self._is_json:
            summary = {
                "command": command,
                "outcome": outcome,
                "counts": dict(self.counts),
            }
            if self.plan_digest:
                summary["plan"] = self.plan_digest
            self._out.write(f"{_json(summary)}\n")
        elif self.counts:
            counted = (
                f"{number:,} {name.replace('_', ' ')}"
                for name, number in self.counts.items()
            )
            self._out.write(f"{', '.join(counted)}\n")
        self._out.flush()

    def _raise_if_stopped(self) -> None:
        if self._stop_reason:
            raise StoppedError(self._stop_reason)

    def _progress(self) -> str:
        """As in ``1,200 of 5,000 (40/s, 1:35 left)``."""
        seconds = max(time.monotonic() - self._began, 0.001)
        rate = self._done / seconds
        if self._total is None:
            return f"{self._done:,} ({rate:,.1f}/s)"
        left = ""
        if rate:
            left = f", {tqdm.format_interval((self._total - self._done) / rate)} left"
        return f"{self._done:,} of {self._total:,} ({rate:,.1f}/s{left})"


def _json(fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, default=str)
