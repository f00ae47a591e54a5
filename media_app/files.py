"""Storing a file that never was a message: pictures of another system, of a database, of a folder.

    from media_app import files

    with open("kitchen.png", "rb") as body:
        media = files.add(
            body,
            owner="whatsapp:+14335551212",
            occurred_at=datetime(2024, 5, 19, 12, tzinfo=UTC),
            filename="kitchen.png",
            details={"persona": "Ana", "prompt": "a kitchen, 1960"},
        )

The same call again adds nothing, also after a crash, and while another process makes it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import BinaryIO

from django.conf import settings
from django.utils.timezone import is_naive

from media_app import filetypes, identity, installation, retry, tombstones
from media_app.clock import database_now
from media_app.details import LEFT_OUT, clean, flat
from media_app.failpoints import failpoint
from media_app.ingest.adoption import VerifiedFile, find_objects
from media_app.ingest.saving import metadata_of, save
from media_app.models import Media
from media_app.record import decode
from media_app.spool import Spool
from media_app.storage import CHUNK, Storage, StorageError, media_storage

#: ``Media.source`` of these files. No provider has them: they are never fetched.
SOURCE = "import"
_NEWEST = timedelta(days=1)


class ErasedError(Exception):
    """The file was erased, and must not come back."""


class Outcome(StrEnum):
    STORED = "stored"
    #: It was there already.
    KNOWN = "known"
    #: It was known, and the storage had lost it.
    STORED_AGAIN = "stored_again"
    #: Staff or retention have deleted it here: it stays deleted.
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """What became of a file."""

    media: Media
    outcome: Outcome
    #: The details for which the object had no room, as one text; the row has them all.
    left_out: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What is known of a file beside its bytes."""

    #: As keys have it: ``whatsapp:+14335551212``.
    owner: str
    #: Aware; from 1970 until tomorrow.
    occurred_at: datetime
    #: Whether nobody said when it was, so that another time stands instead.
    time_assumed: bool = False
    filename: str = ""
    content_type: str = ""
    #: Texts by name; other values are written as JSON.
    details: Mapping[str, object] = field(default_factory=dict)
    #: What tells it apart from another file of the same owner with the same bytes: an id that the
    #: other system has for it; None: its time, unless that is assumed.
    own_id: str | None = None


def add(
    body: BinaryIO | bytes,
    *,
    owner: str,
    occurred_at: datetime | None = None,
    filename: str = "",
    content_type: str = "",
    details: Mapping[str, object] | None = None,
    own_id: str | None = None,
) -> Media:
    """Store the file: its object first, then its row. Returns the row of the file, which may be
    known already (see ``Added``).

    ``body`` is read from where it stands. The arguments are those of a ``Description``; without
    ``occurred_at`` the time of the call stands for it, and does not tell files apart. The type
    is told by the bytes first. The bytes, the owner and ``own_id`` make the file's id.

    Raises ValueError for an owner, a time or details that no file can have and for an empty body,
    TooLargeError above MEDIA_MAX_BYTES, ErasedError, and StorageError: the same call may work
    later.
    """
    description = Description(
        owner=owner,
        occurred_at=occurred_at or database_now(),
        time_assumed=occurred_at is None,
        filename=filename,
        content_type=content_type,
        details=details or {},
        own_id=own_id,
    )
    # The call that died had another time, so that its object has another key.
    return put_in(body, description, look_around=occurred_at is None).media


def put_in(
    body: BinaryIO | bytes, description: Description, *, look_around: bool = False
) -> Added:
    """As ``add``. With ``look_around`` all objects of the owner are listed, to find the one that
    a call that died has put under another time.
    """
    check(description)
    if isinstance(body, bytes):
        body = io.BytesIO(body)
    with Spool(settings.MEDIA_MAX_BYTES) as spool:
        spool.fill(_chunks(body))
        if spool.size == 0:
            raise ValueError("The file is empty.")
        return _stored(_row(description, spool), spool, look_around=look_around)


def _stored(row: Media, spool: Spool, *, look_around: bool) -> Added:
    if tombstones.erased([row.id]):
        raise ErasedError("It was erased.")
    storage = media_storage()
    installation.check_recently(storage)
    known = Media.objects.filter(id=row.id).first()
    if known is not None and not _is_lost(storage, known):
        outcome = Outcome.KNOWN
        if known.state == Media.State.DELETED:
            outcome = Outcome.DELETED
        return Added(media=known, outcome=outcome)
    media = known or row
    existing = []
    if look_around and known is None:
        existing = find_objects(storage, media, _go_on)
    file = VerifiedFile(
        key=media.key,
        sha256=spool.sha256,
        size=spool.size,
        content_type=row.content_type,
        type_differs=row.type_differs,
    )
    failpoint("import_before_put")
    file = save(storage, media, file, spool, existing, _go_on)
    failpoint("import_after_put")
    return _with_row(storage, media, file, is_known=known is not None)


def _with_row(
    storage: Storage, media: Media, file: VerifiedFile, *, is_known: bool
) -> Added:
    """The object is there: now the row says so."""
    if tombstones.erased([media.id]):
        # It was erased while it was put.
        storage.delete([file.key])
        raise ErasedError("It was erased.")
    values = asdict(file)
    if is_known:
        is_new = Media.objects.mark_adopted(media.id, **values)
        outcome = Outcome.STORED_AGAIN
    else:
        for name, value in values.items():
            setattr(media, name, value)
        is_new = Media.objects.insert_stored(media)
        outcome = Outcome.STORED
    failpoint("import_after_row")
    if storage.head(file.key) is None:
        # An erasure of its owner or a cleanup, which is over by now, saw an object of nobody.
        Media.objects.mark_missing(media.id)
        raise StorageError("The object was removed while the file was imported.")
    media = Media.objects.get(id=media.id)
    if not is_new:
        # Another process was faster.
        outcome = Outcome.KNOWN
        if media.is_stored and media.key != file.key:
            # Each of the two had assumed a time of its own.
            storage.delete([file.key])
    return Added(media=media, outcome=outcome, left_out=_left_out(media, file))


def _is_lost(storage: Storage, media: Media) -> bool:
    """Whether a known file has to be stored again."""
    if media.state != Media.State.STORED:
        return media.state in Media.GIVEN_UP
    if storage.head(media.key) is not None:
        return False
    installation.check(storage)
    return Media.objects.mark_missing(media.id, stored_at=media.stored_at)


def _left_out(media: Media, file: VerifiedFile) -> str:
    metadata = metadata_of(media, file)
    record = decode(metadata, keys=settings.MEDIA_METADATA_KEYS)
    return record.details.get(LEFT_OUT, "")


def check(description: Description) -> None:
    """Raise ValueError for an owner or a time that no file can have."""
    owner, moment = description.owner, description.occurred_at
    if owner not in (identity.owner_of(owner), identity.UNKNOWN_OWNER):
        raise ValueError("The owner is not one as keys have it: whatsapp:+14335551212.")
    if is_naive(moment):
        raise ValueError("The time has no zone.")
    newest = database_now() + _NEWEST
    if not 0 <= moment.timestamp() <= newest.timestamp():
        raise ValueError("The time is before 1970 or after tomorrow.")


def _row(description: Description, spool: Spool) -> Media:
    """The row of the file in the spool, not saved yet."""
    stated = filetypes.base_type(description.content_type)
    content_type, type_differs = filetypes.decide_type(
        stated, filetypes.sniff(spool.head())
    )
    message_id = _message_id(description, spool.sha256)
    id = identity.media_id(source=SOURCE, account="", provider_message_id=message_id)
    occurred_at, now = description.occurred_at, database_now()
    return Media(
        id=id,
        source=SOURCE,
        # Not as a media id: nobody can be asked for the file by it.
        provider_message_id=message_id,
        owner=description.owner,
        occurred_at=occurred_at,
        time_assumed=description.time_assumed,
        key=identity.media_key(
            owner=description.owner,
            occurred_at=occurred_at,
            index=0,
            id=id,
            extension=filetypes.extension_for(content_type),
        ),
        announced_type=stated,
        announced_sha256=spool.sha256,
        announced_size=spool.size,
        announced_at=now,
        filename=clean(description.filename, 255),
        details=flat(description.details),
        give_up_at=retry.give_up_at(now, None),
        content_type=content_type,
        type_differs=type_differs,
    )


def _message_id(description: Description, sha256: str) -> str:
    own_id = description.own_id
    if own_id is None and not description.time_assumed:
        own_id = description.occurred_at.astimezone(UTC).isoformat()
    parts = (description.owner, own_id or "", sha256)
    return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()


def _chunks(body: BinaryIO) -> Iterator[bytes]:
    while chunk := body.read(CHUNK):
        yield chunk


def _go_on() -> None:
    """No deadline: an import takes as long as its storage."""
