"""How far something has come: a bar on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

from typing import TextIO

_WIDTH = 30


class Progress:
    """Tells ``done`` of ``total`` on a stream; lines come at each tenth."""

    def __init__(self, what: str, stream: TextIO) -> None:
        self.what = what
        self.stream = stream
        self._is_terminal = stream.isatty()
        self._told = -1

    def show(self, done: int, total: int) -> None:
        tenths = 10 * done // total if total else 10
        if self._is_terminal:
            filled = _WIDTH * done // total if total else _WIDTH
            self._write(
                f"\r{self.what} [{'█' * filled}{'·' * (_WIDTH - filled)}] {done}/{total}"
            )
        elif tenths != self._told:
            self._write(f"{self.what} {done}/{total}\n")
        self._told = tenths

    def end(self) -> None:
        """Leave the bar's line, full or not."""
        if self._is_terminal:
            self._write("\n")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
