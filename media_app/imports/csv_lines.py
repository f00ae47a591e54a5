"""CSV with a header: a record of one line or of several, with a file in base64."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from media_app.imports.fields import item_of
from media_app.imports.items import (
    Assumed,
    BrokenError,
    BrokenLine,
    Item,
    UnreadableError,
)
from media_app.imports.lines import lines, longest_line, opened

# A record of more lines has a quotation mark that is never closed.
MAX_LINES = 200
_DELIMITERS = (",", ";", "\t", "|")

_Lines = Iterator[tuple[int, bytes | None]]


def csv_lines(path: Path, assumed: Assumed) -> Iterator[Item | BrokenLine]:
    """The files of the records. Raises UnreadableError.

    A broken record is its first line alone: the lines after it are read for themselves.
    """
    limit = longest_line(assumed.max_bytes)
    with opened(path) as file:
        records = Records(lines(file, limit), limit)
        header = records.header()
        for number, values in records:
            if isinstance(values, BrokenError):
                yield BrokenLine(number=number, reason=str(values))
                continue
            try:
                yield item_of(number, dict(zip(header, values, strict=True)), assumed)
            except BrokenError as error:
                yield BrokenLine(number=number, reason=str(error))


class Records:
    """The values of each record with the number of its first line, or why there are none."""

    def __init__(self, found: _Lines, limit: int) -> None:
        self._lines = found
        self._limit = limit
        #: Lines that were read and are not of a record yet.
        self._ahead: deque[tuple[int, bytes | None]] = deque()
        self._delimiter = ","
        self._columns = 0

    def header(self) -> list[str]:
        """The names of the columns. Raises UnreadableError."""
        _, line = next(self._lines, (1, b""))
        try:
            text = (line or b"").decode()
        except UnicodeDecodeError as error:
            raise UnreadableError(
                "The header is not UTF-8. Save it as UTF-8."
            ) from error
        self._delimiter = max(_DELIMITERS, key=text.count)
        names = [name.strip() for name in split(text, self._delimiter) or ()]
        if not any(names):
            raise UnreadableError("The first line has to name the columns.")
        if len({*names}) < len(names):
            raise UnreadableError("Two columns have the same name.")
        self._columns = len(names)
        return names

    def __iter__(self) -> Iterator[tuple[int, list[str] | BrokenError]]:
        while self._have(1):
            number, line = self._ahead[0]
            if line is not None and not line.strip():
                self._ahead.popleft()
                continue
            try:
                values, used = self._record()
            except BrokenError as error:
                self._ahead.popleft()
                yield number, error
                continue
            for _ in range(used):
                self._ahead.popleft()
            yield number, values

    def _have(self, number: int) -> bool:
        """Read so many lines ahead; False where there are not so many."""
        while len(self._ahead) < number:
            following = next(self._lines, None)
            if following is None:
                return False
            self._ahead.append(following)
        return True

    def _record(self) -> tuple[list[str], int]:
        """The values of the record that begins with the first line, and how many lines it has.
        Raises BrokenError.
        """
        text = self._line(0)
        values = self._checked(split(text, self._delimiter))
        if values is not None:
            return values, 1
        try:
            return self._of_several_lines(text)
        except BrokenError as error:
            raise BrokenError("a quotation mark is not closed") from error

    def _of_several_lines(self, text: str) -> tuple[list[str], int]:
        used = 1
        while used < MAX_LINES and len(text) <= self._limit and self._have(used + 1):
            line = self._line(used)
            text += line
            used += 1
            if line.count('"') % 2 == 0:
                # It can't end what is within quotation marks.
                continue
            values = self._checked(split(text, self._delimiter))
            if values is not None:
                return values, used
        raise BrokenError("it has too many lines")

    def _checked(self, values: list[str] | None) -> list[str] | None:
        if values is not None and len(values) != self._columns:
            raise BrokenError(
                f"it has {len(values)} columns, the header has {self._columns}"
            )
        return values

    def _line(self, index: int) -> str:
        _, line = self._ahead[index]
        if line is None:
            raise BrokenError("the line is longer than a file may be")
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise BrokenError("the line is not UTF-8") from error


def split(text: str, delimiter: str) -> list[str] | None:
    """The values of a record; None where it ends within quotation marks. Raises BrokenError.

    Python's reader takes four bytes in memory for each character, and one limit for all.

    >>> split('a,"b, ""c"" d",', ",")
    ['a', 'b, "c" d', '']
    """
    stop = len(text)
    while stop and text[stop - 1] in "\r\n":
        stop -= 1
    values, at = [], 0
    while True:
        if text.startswith('"', at):
            end = _closing_mark(text, at + 1, stop)
            if end < 0:
                return None
            values.append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
            if at < stop and not text.startswith(delimiter, at):
                raise BrokenError("text follows a closing quotation mark")
        else:
            end = text.find(delimiter, at, stop)
            if end < 0:
                end = stop
            values.append(text[at:end])
            at = end
        if at >= stop:
            return values
        at += 1


def _closing_mark(text: str, at: int, stop: int) -> int:
    """Where the quotation mark is that is not doubled; -1 where there is none."""
    end = text.find('"', at, stop)
    while 0 <= end < stop - 1 and text[end + 1] == '"':
        end = text.find('"', end + 2, stop)
    return end
