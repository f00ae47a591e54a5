"""JSON Lines: an object on each line, with a file in base64."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from media_app.imports.fields import item_of
from media_app.imports.items import Assumed, BrokenError, BrokenLine, Item
from media_app.imports.lines import lines, longest_line, opened


def json_lines(path: Path, assumed: Assumed) -> Iterator[Item | BrokenLine]:
    """The files of the lines; empty lines are left out. Raises UnreadableError."""
    with opened(path) as file:
        for number, line in lines(file, longest_line(assumed.max_bytes)):
            if line is not None and not line.strip():
                continue
            try:
                yield item_of(number, _object(line), assumed)
            except BrokenError as error:
                yield BrokenLine(number=number, reason=str(error))


def _object(line: bytes | None) -> dict[str, object]:
    if line is None:
        raise BrokenError("the line is longer than a file may be")
    try:
        found = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise BrokenError("the line is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise BrokenError("the line is not JSON") from error
    if not isinstance(found, dict):
        raise BrokenError("the line is not a JSON object")
    return found
