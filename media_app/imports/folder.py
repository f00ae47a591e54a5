"""The files of a folder and of the folders in it, in the order of their names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from media_app.details import clean
from media_app.identity import parse_key
from media_app.imports import sidecars
from media_app.imports.exif import taken_at
from media_app.imports.fields import checked_type, details_of, owner_from, uses_of
from media_app.imports.items import Assumed, BrokenError, BrokenLine, Item
from media_app.imports.patterns import Pattern
from media_app.imports.times import moment
from media_app.storage.base import MARKER

# What systems leave in folders.
_LEFTOVERS = {"thumbs.db", "desktop.ini"}


class OwnFilesError(Exception):
    """The folder is a storage of a hub. The text says what to do."""


def folder(
    root: Path, assumed: Assumed, pattern: Pattern | None = None
) -> Iterator[Item | BrokenLine]:
    """The files below ``root``, without hidden ones and without the sidecars of others.

    Owner, time, id and details are what the path says (by ``pattern``), else the sidecar; the time
    is else that of the camera, else that of the file, which counts as assumed.
    """
    number = 0
    unreadable: list[OSError] = []
    for place, folders, names in os.walk(root, onerror=unreadable.append):
        for error in unreadable:
            number += 1
            reason = f"the folder can't be read: {error.strerror}"
            yield _broken(number, root, Path(error.filename), reason)
        unreadable.clear()
        here = Path(place)
        if MARKER in names:
            folders.clear()
            number += 1
            yield _broken(number, root, here, "the folder is a storage of this program")
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = sorted(name for name in names if not _is_hidden(name))
        sidecar_of = sidecars.pairs(shown)
        of_others = {*sidecar_of.values()}
        for name in shown:
            if name in of_others:
                continue
            number += 1
            sidecar = sidecar_of.get(name)
            beside = here / sidecar if sidecar else None
            try:
                yield _item(number, root, here / name, beside, assumed, pattern)
            except BrokenError as broken:
                yield _broken(number, root, here / name, str(broken))


def refuse_own(root: Path, storage_root: Path | None) -> None:
    """Raise OwnFilesError for a folder that is a storage, or within one, or has ours within it.

    ``storage_root`` is the folder of our storage, where that is one.
    """
    root = root.resolve()
    is_marked = any((each / MARKER).exists() for each in (root, *root.parents))
    if storage_root is not None:
        ours = storage_root.resolve()
        is_marked |= root.is_relative_to(ours) or ours.is_relative_to(root)
    if is_marked:
        raise OwnFilesError(
            "The folder is a storage of this program, or one is in it. For rows of objects that "
            "are there already use reconcile_media --adopt."
        )


def count(root: Path) -> int:
    """About how many files there are."""
    return sum(len(names) for _, _, names in os.walk(root))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFTOVERS


def _item(
    number: int,
    root: Path,
    path: Path,
    sidecar: Path | None,
    assumed: Assumed,
    pattern: Pattern | None,
) -> Item:
    shown = _shown(root, path)
    if _is_ours(path):
        raise BrokenError("it is a file or a preview of a hub's storage")
    said: Mapping[str, object] = sidecars.read(sidecar) if sidecar else {}
    uses = uses_of(said, {})
    told = {use: str(said[name]) for use, name in uses.items()}
    own = ("owner", "time", "id")
    details = details_of(said, leave_out={uses[use] for use in own if use in uses})
    if pattern is not None:
        values = pattern.values(shown)
        if values is None:
            raise BrokenError("its path does not match --pattern")
        values = dict(values)
        if "timestamp" in values:
            told["time"] = values.pop("timestamp")
        told |= {name: values.pop(name) for name in ("owner", "id") if name in values}
        details |= values
    owner = owner_from(told.get("owner", ""), assumed)
    stated = moment(told["time"]) if "time" in told else None
    body = _opened(path)
    content_type = checked_type(body, "", path.name)
    taken = stated or taken_at(body)
    # The same picture may be copied under many names, and by a copy get another time.
    own_id = told.get("id", "" if stated is None else None)
    return Item(
        number=number,
        path=shown,
        body=body,
        owner=owner,
        occurred_at=taken or _changed(body),
        time_assumed=taken is None,
        own_id=own_id,
        filename=clean(path.name, 255),
        content_type=content_type,
        details={"path": shown, **details},
    )


def _is_ours(path: Path) -> bool:
    """Whether the path ends as a key of ours, or as that of a preview."""
    parts = path.absolute().parts
    keys = ("/".join(parts[-2:]), "/".join(parts[-3:-1]))
    return any(parse_key(key) is not None for key in keys)


def _opened(path: Path) -> BinaryIO:
    if path.is_symlink() or not path.is_file():
        raise BrokenError("it is a link, or no file")
    try:
        body = path.open("rb")
    except OSError as error:
        raise BrokenError(f"it can't be read: {error.strerror}") from error
    if os.fstat(body.fileno()).st_size == 0:
        body.close()
        raise BrokenError("the file is empty")
    return body


def _changed(body: BinaryIO) -> datetime:
    seconds = max(os.fstat(body.fileno()).st_mtime, 0)
    return datetime.fromtimestamp(int(seconds), UTC)


def _broken(number: int, root: Path, path: Path, reason: str) -> BrokenLine:
    return BrokenLine(number=number, path=_shown(root, path), reason=reason)


def _shown(root: Path, path: Path) -> str:
    """The path below the root, as a text that can be written down."""
    return clean(path.relative_to(root).as_posix())
