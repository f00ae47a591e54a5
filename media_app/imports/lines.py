"""The lines of a file, one at a time, none longer than it may be."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from media_app.imports.items import UnreadableError

_BLOCK = 1024 * 1024
_FOREIGN = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def opened(path: Path) -> BinaryIO:
    """The file, after a byte order mark of UTF-8. Raises UnreadableError."""
    try:
        file = path.open("rb", buffering=_BLOCK)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from error
    begin = file.read(len(codecs.BOM_UTF8))
    if begin.startswith(_FOREIGN):
        file.close()
        raise UnreadableError(f"{path} is UTF-16. Save it as UTF-8.")
    if begin != codecs.BOM_UTF8:
        file.seek(0)
    return file


def lines(file: BinaryIO, max_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number, from 1 on; None for one that is longer than ``max_bytes``."""
    number = 0
    while line := file.readline(max_bytes + 1):
        number += 1
        if len(line) <= max_bytes or line.endswith(b"\n"):
            yield number, line
            continue
        del line
        while (part := file.readline(_BLOCK)) and not part.endswith(b"\n"):
            pass
        yield number, None


def count(path: Path) -> int:
    """How many lines there are."""
    number, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            number += block.count(b"\n")
            last = block
    return number + (not last.endswith(b"\n"))


def longest_line(max_bytes: int) -> int:
    """How long a line may be that has a file of so many bytes in base64, and some text beside."""
    return max_bytes * 4 // 3 + _BLOCK
