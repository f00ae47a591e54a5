"""What every storage must be able to do (``media_app.storage.base``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from secrets import token_bytes, token_hex
from urllib.parse import quote, unquote

from media_app.capabilities.answers import Answer, failed, ok, warning
from media_app.clock import database_now
from media_app.storage import ObjectExistsError, Storage

# Named like files, because servers differ in what they do with ``:`` and ``+``. The second
# number begins like the first one.
_KEY = "whatsapp:+1433/1-0-000000000000.jpeg"
_NEIGHBOR = "whatsapp:+14335/1-0-000000000000.jpeg"
KEYS = (_KEY, _NEIGHBOR)

_SIZE = 64 * 1024
_TYPE = "image/jpeg"
_TEXT = "Grüße, 你好, عربي, 😀"
# With the text and both names: as much as the metadata of a file may be (``media_app.record``).
_FILLING = "x" * (1720 - len("text") - len(quote(_TEXT)) - len("filling"))

_TOLERATED = timedelta(seconds=30)
# S3 refuses what was signed fifteen minutes off.
_TOO_MUCH = timedelta(minutes=5)


def attempts(scratch: Storage) -> dict[str, Callable[[], Answer]]:
    return {
        "write": partial(_write, scratch),
        "create_only": partial(_create_only, scratch),
        "overwrite": partial(_overwrite, scratch),
        "range": partial(_range, scratch),
        "list": partial(_list, scratch),
        "metadata": partial(_metadata, scratch),
        "clock": partial(_clock, scratch),
        "delete": partial(_delete, scratch),
    }


def put(
    storage: Storage, key: str, body: bytes, *, text: str = "", replace: bool = True
) -> None:
    metadata = {}
    if text:
        metadata = {"text": quote(text), "filling": _FILLING}
    storage.put(
        key,
        BytesIO(body),
        size=len(body),
        content_type=_TYPE,
        metadata=metadata,
        replace=replace,
    )


def read(storage: Storage, key: str, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes; none where there is no object."""
    opened = storage.open_range(key, start, stop)
    if opened is None:
        return b""
    with closing(opened):
        return b"".join(opened.chunks())


def _write(scratch: Storage) -> Answer:
    body = token_bytes(_SIZE)
    put(scratch, _KEY, body)
    if read(scratch, _KEY) != body:
        return failed("What is read is not what was written.")
    return ok("Objects are written and read back.")


def _create_only(scratch: Storage) -> Answer:
    put(scratch, _KEY, b"first")
    try:
        put(scratch, _KEY, b"second", replace=False)
    except ObjectExistsError:
        if read(scratch, _KEY) != b"first":
            return failed("An object was replaced although the storage refused it.")
        return ok("An object that is there is not replaced.")
    return warning("An object that is there is replaced.")


def _overwrite(scratch: Storage) -> Answer:
    put(scratch, _KEY, b"first")
    body = token_hex().encode()
    put(scratch, _KEY, body)
    if read(scratch, _KEY) != body:
        return failed("After an overwrite the old bytes are read.")
    return ok("An object is replaced where that is asked for.")


def _range(scratch: Storage) -> Answer:
    body = token_bytes(_SIZE)
    put(scratch, _KEY, body)
    for start, stop in ((0, 1), (1000, 2000), (_SIZE - 10, _SIZE)):
        if read(scratch, _KEY, start, stop) != body[start:stop]:
            return failed("A range has other bytes than asked for.")
    return ok("Ranges have the bytes asked for.")


def _list(scratch: Storage) -> Answer:
    for key in KEYS:
        put(scratch, key, b"listed")
    folder = _KEY.partition("/")[0] + "/"
    listed = [found.key for found in scratch.list(folder)]
    if _NEIGHBOR in listed:
        return failed("The list of one number has files of another one.")
    if listed != [_KEY]:
        return failed("The list lacks an object that was just put.")
    if [found.key for found in scratch.list("")] != [*KEYS]:
        return failed("The list of all objects is not complete, or not in order.")
    return ok("The list of one number has its files alone.")


def _metadata(scratch: Storage) -> Answer:
    put(scratch, _KEY, b"with metadata", text=_TEXT)
    found = scratch.head(_KEY)
    kept = dict(found.metadata or {}) if found else {}
    if unquote(kept.get("text", "")) != _TEXT or kept.get("filling") != _FILLING:
        return failed("Metadata does not come back as it was put.")
    if found is None or found.content_type != _TYPE:
        return failed("The content type does not come back as it was put.")
    return ok(
        "Metadata (percent-encoded Unicode, as long as it may be) and content type are kept."
    )


def _clock(scratch: Storage) -> Answer:
    put(scratch, _KEY, b"now")
    # Between two readings of the clock, so that a slow storage is no wrong clock.
    before = database_now()
    put(scratch, _KEY, token_bytes(8))
    found = scratch.head(_KEY)
    if found is None:
        return failed("The object that was just put is not there.")
    return compared(
        before,
        database_now(),
        storage=found.modified,
        host=datetime.now(UTC),
    )


def compared(
    earliest: datetime, latest: datetime, *, storage: datetime, host: datetime
) -> Answer:
    """The database's clock, read before and after, against the storage's and this host's."""
    off = {
        "storage's": _off(earliest, latest, storage),
        "host's": _off(earliest, latest, host),
    }
    name = max(off, key=lambda name: off[name])
    most = off[name]
    text = f"The {name} clock is {most.total_seconds():,.0f} s off the database's."
    if most > _TOO_MUCH:
        return failed(text)
    if most > _TOLERATED:
        return warning(text)
    return ok("The clocks of the storage, the database and this host agree.")


def _off(earliest: datetime, latest: datetime, moment: datetime) -> timedelta:
    return max(earliest - moment, moment - latest, timedelta(0))


def _delete(scratch: Storage) -> Answer:
    for key in KEYS:
        put(scratch, key, b"to be deleted")
    scratch.delete(KEYS)
    # What is not there counts as deleted.
    scratch.delete([_KEY])
    if any(scratch.head(key) for key in KEYS):
        return failed("An object is there after it was deleted.")
    return ok("Objects are deleted.")
