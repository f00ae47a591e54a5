"""JSON files beside pictures that say more of them, as Google Takeout has them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from media_app.imports.items import BrokenError

ENDING = ".json"
MAX_BYTES = 1024 * 1024
_NUMBERED = re.compile(r"(?P<stem>.+)(?P<number>\([0-9]+\))")
_EDITED = "-edited"
# Takeout cuts the name of a sidecar off here.
_CUT = 46
_TAKEOUT = ".supplemental-metadata"
# What Takeout says of the album, the time and the picture; the time is a field of its own.
_NOT_DETAILS = (
    *("photoTakenTime", "creationTime", "photoLastModifiedTime", "imageViews"),
    *("geoDataExif", "googlePhotosOrigin"),
)


def pairs(names: Collection[str]) -> dict[str, str]:
    """For the names of one folder: the name of each file's sidecar, where it has one."""
    jsons = {name for name in names if name.lower().endswith(ENDING)}
    if not jsons:
        return {}
    found = {}
    for name in names:
        if name in jsons:
            continue
        for candidate in _candidates(name):
            if candidate in jsons:
                found[name] = candidate
                break
    return found


def _candidates(name: str) -> Iterator[str]:
    """``a(1).jpg``: ``a.jpg(1).json``, ``a.jpg.supplemental-metadata(1).json``, ``a(1).json``."""
    stem, dot, ending = name.rpartition(".")
    stem = stem.removesuffix(_EDITED)
    yield f"{stem}{dot}{ending}{ENDING}"
    number, bare = "", stem
    if match := _NUMBERED.fullmatch(stem):
        bare, number = match["stem"].removesuffix(_EDITED), match["number"]
    whole = f"{bare}{dot}{ending}"
    for length in range(len(whole + _TAKEOUT), len(whole) - 1, -1):
        yield f"{(whole + _TAKEOUT)[:length]}{number}{ENDING}"
    yield f"{(whole + _TAKEOUT)[:_CUT]}{number}{ENDING}"
    yield f"{stem}{ENDING}"


def read(path: Path) -> Mapping[str, object]:
    """The fields of a sidecar, that of the time as ``timestamp``. Raises BrokenError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        fields = json.loads(text[:MAX_BYTES].decode("utf-8-sig"))
    except OSError as error:
        raise BrokenError(f"{path.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenError(f"{path.name} beside it can't be read") from error
    if not isinstance(fields, dict):
        raise BrokenError(f"{path.name} beside it is not a JSON object")
    taken = fields.get("photoTakenTime")
    if not isinstance(taken, dict):
        return fields
    kept = {name: value for name, value in fields.items() if name not in _NOT_DETAILS}
    return {**kept, "timestamp": taken.get("timestamp")}
