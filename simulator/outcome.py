"""The end of a burst: what was announced against the rows and the bytes that the hub holds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import TypeVar
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection

from media_app.identity import Key, computed_id, media_id, owner_prefix, parse_key
from media_app.models import Media
from media_app.storage import Storage, StorageError, media_storage
from messages_app.models import Attachment, ContactOwner, Message
from simulator.ledger import AnnouncedFile, AnnouncedMessage, Ledger

T = TypeVar("T")

WAITING = ("pending", "fetching", "retrying")

_POLL_SECONDS = 0.25
# As many ids as fit one query on every database.
_BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How far the files of one provider have come."""

    announced: int = 0
    stored: int = 0
    #: Stored, and read back from the bucket with the announced digest.
    verified: int = 0
    waiting: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            announced=self.announced + other.announced,
            stored=self.stored + other.stored,
            verified=self.verified + other.verified,
            waiting=self.waiting + other.waiting,
            failed=self.failed + other.failed,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a ledger."""

    announced: int
    stored: int
    verified: int
    #: Of the announced messages: those that are there.
    messages: int
    #: People that the announced senders turned into.
    contacts: int
    #: Objects in the bucket that belong to announced files.
    objects: int
    #: Rows and objects beyond one for each message and file.
    doubled: int
    #: Each deviation in one sentence; empty when nothing was lost and nothing doubled.
    problems: tuple[str, ...]
    tallies: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return not self.problems

    def table(self) -> str:
        """Aligned columns, a line for each provider and one for all."""
        names = ("announced", "stored", "verified", "waiting", "failed")
        rows = dict(self.tallies)
        if len(rows) != 1:
            rows["all"] = sum(rows.values(), Tally())
        width = max(map(len, rows))
        lines = [" ".join([" " * width, *(f"{name:>9}" for name in names)])]
        for provider, tally in rows.items():
            lines.append(
                " ".join(
                    [
                        f"{provider:<{width}}",
                        *(f"{getattr(tally, name):>9}" for name in names),
                    ]
                )
            )
        lines.append(
            f"{self.messages} messages, {self.contacts} contacts, {self.objects} objects, "
            f"{self.doubled} doubled"
        )
        return "\n".join(lines)


def wait_until_settled(
    ledger: Ledger,
    *,
    timeout: float,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> bool:
    """Until every message is there and every file came to an end, good or bad; False after
    ``timeout`` seconds.

    A database that is away for a moment is waited for.
    """
    deadline = time.monotonic() + timeout
    total = len(ledger.messages) + len(ledger.files)
    messages, files = (
        {_message_id(message) for message in ledger.messages},
        {_file_id(file) for file in ledger.files},
    )
    while True:
        try:
            messages -= _existing_messages(messages)
            files -= _settled_files(files)
        except DatabaseError:
            connection.close()
        on_progress(total - len(messages) - len(files), total)
        if not messages and not files:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def examine(ledger: Ledger) -> Outcome:
    """Compare everything, once, as it is now; each object is read back whole.

    Raises StorageError when the bucket can't be listed, django.db.Error.
    """
    storage = media_storage()
    rows = _rows(ledger.files)
    findings = {
        file: _FileFinding.of(file, rows.get(_file_id(file)), storage)
        for file in ledger.files
    }
    tallies: dict[str, Tally] = {}
    for file, finding in findings.items():
        tallies[file.provider] = tallies.get(file.provider, Tally()) + finding.tally
    objects = _objects(ledger, storage)
    doubles = [*_doubled_objects(objects), *_doubled_rows(ledger)]
    present = _present_messages(ledger)
    total = sum(tallies.values(), Tally())
    return Outcome(
        announced=total.announced,
        stored=total.stored,
        verified=total.verified,
        messages=len(present),
        contacts=len(set(_contacts(ledger).values())),
        objects=sum(map(len, objects.values())),
        doubled=len(doubles),
        problems=(
            *(finding.problem for finding in findings.values() if finding.problem),
            *_message_problems(ledger, present),
            *doubles,
        ),
        tallies=tallies,
    )


# --- files ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _FileFinding:
    tally: Tally
    #: In one sentence, or "".
    problem: str = ""

    @classmethod
    def of(
        cls, file: AnnouncedFile, row: Media | None, storage: Storage
    ) -> _FileFinding:
        name = f"{file.provider} {file.media_id} of {file.owner}"
        if row is None:
            return cls(Tally(announced=1, waiting=1), f"{name} has no row")
        if row.state in WAITING:
            why = f": {row.last_error}" if row.last_error else ""
            return cls(
                Tally(announced=1, waiting=1), f"{name} is still {row.state}{why}"
            )
        if row.state != "stored":
            return cls(
                Tally(announced=1, failed=1), f"{name} is {row.state}: {row.last_error}"
            )
        fault = _row_fault(file, row) or _object_fault(file, row.key, storage)
        if fault:
            return cls(Tally(announced=1, stored=1), f"{name} is stored, but {fault}")
        return cls(Tally(announced=1, stored=1, verified=1))


def _row_fault(file: AnnouncedFile, row: Media) -> str:
    """What the row says wrongly; the first finding, or ""."""
    pairs: list[tuple[str, object, object]] = [
        ("owner", row.owner, file.owner),
        ("sha256", row.sha256, file.sha256),
        ("size", row.size, file.size),
        ("content type", row.content_type, file.content_type),
    ]
    if file.occurred_at is not None:
        pairs.append(("time", row.occurred_at, file.occurred_at))
    for name, told, announced in pairs:
        if told != announced:
            return f"its {name} is {told}, not {announced}"
    key = parse_key(row.key)
    if key is None or key.owner != file.owner or not key.names(row.id):
        return f"its key is {row.key}"
    return ""


def _object_fault(file: AnnouncedFile, key: str, storage: Storage) -> str:
    """What is wrong with the bytes, or ""."""
    try:
        opened = storage.open_range(key)
        if opened is None:
            return "the bucket has no object for it"
        digest = sha256()
        try:
            for chunk in opened.chunks():
                digest.update(chunk)
        finally:
            opened.close()
    except StorageError as error:
        return f"it can't be read: {error}"
    return "" if digest.hexdigest() == file.sha256 else "its bytes are others"


def _objects(ledger: Ledger, storage: Storage) -> dict[AnnouncedFile, list[str]]:
    """The keys in the bucket that belong to each announced file."""
    found: dict[AnnouncedFile, list[str]] = {}
    by_owner: dict[str, list[AnnouncedFile]] = defaultdict(list)
    for file in ledger.files:
        by_owner[file.owner].append(file)
    for owner, files in by_owner.items():
        keys = list(_keys(storage, owner))
        for file in files:
            id = _file_id(file)
            found[file] = [text for text, key in keys if key.names(id)]
    return found


def _keys(storage: Storage, owner: str) -> Iterator[tuple[str, Key]]:
    for stored in storage.list(owner_prefix(owner)):
        key = parse_key(stored.key)
        if key is not None:
            yield stored.key, key


def _doubled_objects(objects: Mapping[AnnouncedFile, list[str]]) -> Iterator[str]:
    for file, keys in objects.items():
        for key in keys[1:]:
            yield f"{file.provider} {file.media_id} is in the bucket again as {key}"


def _doubled_rows(ledger: Ledger) -> Iterator[str]:
    """Rows that the announcements made beyond one for each message and file."""
    files = {_file_id(file) for file in ledger.files}
    messages = {_message_id(message) for message in ledger.messages}
    for provider, ids in _provider_message_ids(ledger).items():
        for batch in _batches(ids):
            found = Media.objects.filter(
                source=provider, provider_message_id__in=batch
            ).values_list("id", "key")
            yield from (
                f"{key} is a second row of its file"
                for id, key in found
                if id not in files
            )
            rows = Message.objects.filter(
                provider=provider, provider_message_id__in=batch
            )
            for id, name in rows.values_list("id", "provider_message_id"):
                if id not in messages:
                    yield f"{provider} {name} is a second row of its message"


# --- messages -----------------------------------------------------------------------


def _present_messages(ledger: Ledger) -> dict[UUID, Message]:
    ids = [_message_id(message) for message in ledger.messages]
    return {
        id: row
        for batch in _batches(ids)
        for id, row in Message.objects.in_bulk(batch).items()
    }


def _message_problems(ledger: Ledger, present: Mapping[UUID, Message]) -> Iterator[str]:
    attached = _attached(present)
    contacts = _contacts(ledger)
    for message in ledger.messages:
        name = f"{message.provider} {message.message_id} of {message.owner}"
        row = present.get(_message_id(message))
        if row is None:
            yield f"{name} has no row"
            continue
        if row.text != message.text:
            yield f"{name} says {row.text!r}, not {message.text!r}"
        files = [_file_id(message.file)] if message.file else []
        if attached[row.id] != files:
            yield f"{name} holds {len(attached[row.id])} files, or others than its own {len(files)}"
        if row.contact_id is None or row.contact_id != contacts.get(message.owner):
            yield f"{name} is not its sender's"


def _attached(ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """The files of each message."""
    attached: dict[UUID, list[UUID]] = defaultdict(list)
    for batch in _batches(ids):
        rows = Attachment.objects.filter(message_id__in=batch).order_by("position")
        for message, file in rows.values_list("message_id", "media_id"):
            attached[message].append(file)
    return attached


def _contacts(ledger: Ledger) -> dict[str, UUID]:
    """The contact behind each announced sender."""
    owners = {message.owner for message in ledger.messages}
    return {
        owner: contact
        for batch in _batches(owners)
        for owner, contact in ContactOwner.objects.filter(owner__in=batch).values_list(
            "owner", "contact_id"
        )
    }


# --- ids ------------------------------------------------------------------------------


def _file_id(file: AnnouncedFile) -> UUID:
    return media_id(
        source=file.provider, account=file.account, provider_media_id=file.media_id
    )


def _message_id(message: AnnouncedMessage) -> UUID:
    return computed_id(message.provider, message.account, message.message_id)


def _provider_message_ids(ledger: Ledger) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for message in ledger.messages:
        ids[message.provider].append(message.message_id)
    return ids


def _rows(files: Sequence[AnnouncedFile]) -> dict[UUID, Media]:
    ids = [_file_id(file) for file in files]
    return {
        id: row
        for batch in _batches(ids)
        for id, row in Media.objects.in_bulk(batch).items()
    }


def _existing_messages(ids: Iterable[UUID]) -> set[UUID]:
    return {
        id
        for batch in _batches(ids)
        for id in Message.objects.filter(id__in=batch).values_list("id", flat=True)
    }


def _settled_files(ids: Iterable[UUID]) -> set[UUID]:
    return {
        id
        for batch in _batches(ids)
        for id in Media.objects.filter(id__in=batch)
        .exclude(state__in=WAITING)
        .values_list("id", flat=True)
    }


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(items)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
