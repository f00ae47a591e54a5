"""Looking for one person in every byte that a hub keeps."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis import Redis

from bench.erasure_places import Places
from simulator.hub import Hub
from simulator.ledger import AnnouncedMessage

# A log line of each file that was stored names our own id of it: it says nothing once the file is
# gone.
_IN_LOGS = ("number", "name", "provider's id", "digest")


@dataclass(frozen=True, slots=True)
class Needle:
    kind: str
    bytes: bytes


def needles(
    place: Places, owner: str, name: str, said: Sequence[AnnouncedMessage]
) -> list[Needle]:
    """What must be found nowhere, in all the ways in which it may be written."""
    number = owner.partition("+")[2]
    found = [Needle("number", number.encode()), Needle("name", name.encode())]
    for message in said:
        assert message.file is not None
        found.append(Needle("provider's id", message.message_id.encode()))
        found.append(Needle("provider's id", message.file.media_id.encode()))
        digest = bytes.fromhex(message.file.sha256)
        found.append(Needle("digest", message.file.sha256.encode()))
        found.append(Needle("digest", base64.b64encode(digest)))
    for id in _our_ids(place, owner):
        found += [Needle("our id", form) for form in (str(id).encode(), id.bytes)]
        found.append(Needle("our id", id.hex.encode()))
    return found


def _our_ids(place: Places, owner: str) -> Iterator[UUID]:
    for name, rows in place.rows():
        if name in ("media_app_media", "messages_app_message"):
            for row in rows:
                if row["owner"] == owner:
                    yield UUID(str(row["id"]))


def find(place: Places, hub: Hub, wanted: Sequence[Needle]) -> list[str]:
    """Where any of it is, and what it is."""
    # SQLite writes columns without anything between them: a neighbour's shorter number and an id
    # that begins with the missing digit are not the number.
    number = re.compile(
        rb"(?<![0-9])" + wanted[0].bytes + rb"(?![0-9])(?![0-9a-f]{31})"
    )
    found: list[str] = []

    def look(where: str, data: bytes, kinds: Iterable[str] = ()) -> None:
        for needle in wanted:
            if kinds and needle.kind not in kinds:
                continue
            if needle.bytes in data and (
                needle.kind != "number" or number.search(data)
            ):
                found.append(f"{needle.kind} in {where}")
                return

    for table, rows in place.rows():
        look(f"the rows of {table}", b"\n".join(map(_plain, rows)))
    for path in place.database_files():
        if path.is_file():
            look(f"the file {path.name}", path.read_bytes())
    for key, data in place.objects():
        look("the bucket", key.encode() + b" " + data)
    with Redis.from_url(hub.env["REDIS_URL"]) as redis:
        for key in redis.scan_iter():
            assert isinstance(key, bytes)
            look(f"Redis: {key[:40]!r}", key + (redis.dump(key) or b""))
    for path in hub.directory.glob("*.log"):
        look(path.name, path.read_bytes(), _IN_LOGS)
    return found


def _plain(row: dict[str, Any]) -> bytes:
    values = [
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
        for value in row.values()
    ]
    return b" ".join(values)


def of_others(place: Places, owners: Sequence[str]) -> list[tuple[Any, ...]]:
    """The files of these owners: rows and objects."""
    objects = {key for key, _ in place.objects()}
    found: list[tuple[Any, ...]] = []
    for name, rows in place.rows():
        if name == "media_app_media":
            for row in rows:
                if row["owner"] in owners:
                    there = row["key"] in objects
                    found.append((str(row["id"]), row["state"], row["sha256"], there))
    return sorted(found)
