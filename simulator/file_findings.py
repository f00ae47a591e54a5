"""Announced files against their rows and objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from media_app.identity import Key, owner_prefix, parse_key
from media_app.models import Media
from media_app.storage import Storage, StorageError
from messages_app.models import Message
from simulator.announced_rows import (
    WAITING,
    batches,
    file_id,
    message_id,
    provider_message_ids,
)
from simulator.ledger import AnnouncedFile, Ledger


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


@dataclass(frozen=True, slots=True)
class FileFinding:
    tally: Tally
    #: In one sentence, or "".
    problem: str = ""

    @classmethod
    def of(
        cls, file: AnnouncedFile, row: Media | None, storage: Storage
    ) -> FileFinding:
        name = f"{file.provider} {file.media_id} of {file.owner}"
        if row is None:
            return cls(Tally(announced=1, waiting=1), f"{name} has no row")
        if row.state in WAITING:
            problem = f"{name} is still {row.state}"
            if row.last_error:
                problem += f": {row.last_error}"
            return cls(Tally(announced=1, waiting=1), problem)
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
    if digest.hexdigest() != file.sha256:
        return "its bytes are others"
    return ""


def objects_of(ledger: Ledger, storage: Storage) -> dict[AnnouncedFile, list[str]]:
    """The keys in the bucket that belong to each announced file."""
    found: dict[AnnouncedFile, list[str]] = {}
    by_owner: dict[str, list[AnnouncedFile]] = defaultdict(list)
    for file in ledger.files:
        by_owner[file.owner].append(file)
    for owner, files in by_owner.items():
        keys = list(_keys(storage, owner))
        for file in files:
            id = file_id(file)
            found[file] = [text for text, key in keys if key.names(id)]
    return found


def _keys(storage: Storage, owner: str) -> Iterator[tuple[str, Key]]:
    for stored in storage.list(owner_prefix(owner)):
        key = parse_key(stored.key)
        if key is not None:
            yield stored.key, key


def doubled_objects(objects: Mapping[AnnouncedFile, list[str]]) -> Iterator[str]:
    for file, keys in objects.items():
        for key in keys[1:]:
            yield f"{file.provider} {file.media_id} is in the bucket again as {key}"


def doubled_rows(ledger: Ledger) -> Iterator[str]:
    """Rows that the announcements made beyond one for each message and file."""
    files = {file_id(file) for file in ledger.files}
    messages = {message_id(message) for message in ledger.messages}
    for provider, ids in provider_message_ids(ledger).items():
        for batch in batches(ids):
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
