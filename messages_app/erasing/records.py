"""The records of erasures in the storage, which a restored database does not know.

One small object for each request: ``erasures/{id of the request}.json``, with the HMACs of the
owners and of all that was erased. A backup that is restored brings the person back; the record
says so, and the erasure is carried out again. Redis has a copy, for when an older bucket is
restored as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from io import BytesIO
from typing import Any
from uuid import UUID

from django.db import transaction

from media_app import installation, queues, tombstones
from media_app.identity import ERASURES, PREVIEWS, owner_of
from media_app.models import Installation, Media, Tombstone
from media_app.storage import Storage, media_storage
from messages_app.models import ContactOwner, ErasureRequest

log = logging.getLogger(__name__)

VERSION = 1
BATCH = 1000

Record = dict[str, Any]


def key_of(id: UUID) -> str:
    return f"{ERASURES}{id}.json"


def write(request: ErasureRequest) -> None:
    """Write or renew the record of a request. Raises StorageError."""
    digests = Tombstone.objects.filter(erasure_id=request.id).order_by("digest")
    record = {
        "version": VERSION,
        "requested_by": request.requested_by,
        "requested_at": request.requested_at.isoformat(),
        "until": request.until.isoformat(),
        "due_at": request.due_at.isoformat(),
        "key_id": request.key_id,
        "owners": request.owner_digests,
        "erased": list(digests.values_list("digest", flat=True)),
        "certificate": request.certificate,
    }
    text = json.dumps(record)
    _put(key_of(request.id), text)
    queues.remember(_name_of(request.id), text)


def _put(key: str, text: str) -> None:
    body = text.encode()
    media_storage().put(
        key,
        BytesIO(body),
        size=len(body),
        content_type="application/json",
        metadata={},
        replace=True,
    )


def compare() -> int:
    """Compare the records with the requests. Where either lacks one, something was restored: the
    person is looked for, and erased again where they are found. Returns how many erasures were
    opened. Raises StorageError.
    """
    storage = media_storage()
    installation.check(storage)
    recorded = {
        id for each in storage.list(ERASURES) if (id := _id_in(each.key)) is not None
    }
    done = ErasureRequest.objects.filter(state=ErasureRequest.State.DONE)
    known = set(ErasureRequest.objects.values_list("id", flat=True))
    learned = [
        request
        for id in sorted((recorded | _bring_back(recorded)) - known)
        if (request := _learn(id, storage)) is not None
    ]
    unrecorded = list(done.exclude(id__in=recorded))
    for request in unrecorded:
        write(request)
    return _open_again([*learned, *unrecorded], storage)


def _bring_back(recorded: set[UUID]) -> set[UUID]:
    """Put what Redis alone remembers into the storage again: database and bucket may both have been
    replaced by older ones. Returns the ids.
    """
    lost = {
        id: text
        for name, text in queues.remembered().items()
        if (id := _id_in(name)) is not None
        and name == _name_of(id)
        and id not in recorded
    }
    for id, text in lost.items():
        _put(key_of(id), text)
    return set(lost)


def _name_of(id: UUID) -> str:
    """Of Redis's copy. Another installation may use the same Redis."""
    return f"{Installation.objects.current()}/{key_of(id)}"


def _id_in(name: str) -> UUID | None:
    """The request that a record in the storage, or its copy in Redis, is about."""
    try:
        return UUID(name.rpartition("/")[2].removesuffix(".json"))
    except ValueError:
        return None


def _learn(id: UUID, storage: Storage) -> ErasureRequest | None:
    """The request that a record tells of, with its tombstones."""
    opened = storage.open_range(key_of(id))
    if opened is None:
        return None
    with closing(opened):
        body = b"".join(opened.chunks())
    try:
        record: Record = json.loads(body)
        request = ErasureRequest(
            id=id,
            state=ErasureRequest.State.DONE,
            requested_by=record["requested_by"],
            requested_at=datetime.fromisoformat(record["requested_at"]),
            until=datetime.fromisoformat(record["until"]),
            due_at=datetime.fromisoformat(record["due_at"]),
            key_id=record["key_id"],
            owner_digests=record["owners"],
            certificate=record["certificate"],
        )
        erased = list(record["erased"])
    except (ValueError, KeyError, TypeError):
        log.error("the record of an erasure can't be read", extra={"erasure": str(id)})
        return None
    with transaction.atomic():
        request.save(force_insert=True)
        tombstones.add(erased, id)
    log.warning("an erasure was learned from the storage", extra={"erasure": str(id)})
    return request


def _open_again(requests: list[ErasureRequest], storage: Storage) -> int:
    """Open those requests whose people are there."""
    wanted = {digest for request in requests for digest in request.owner_digests}
    if not wanted:
        return 0
    by_digest: dict[str, set[str]] = {}
    for owner in set(_owners_there(storage)):
        for digest in tombstones.digests_of(owner):
            if digest in wanted:
                by_digest.setdefault(digest, set()).add(owner)
    opened = 0
    for request in requests:
        found = {
            owner
            for digest in request.owner_digests
            for owner in by_digest.get(digest, ())
        }
        # A request that nobody has carried out yet is not done, whoever is there.
        if found or request.certificate is None:
            ErasureRequest.objects.filter(id=request.id).update(
                state=ErasureRequest.State.WAITING,
                reason="A backup was restored.",
                owners=sorted(found),
                asked_until=None,
                ended_at=None,
            )
            opened += 1
    return opened


def _owners_there(storage: Storage) -> Iterator[str]:
    """All owners of the database and of the storage."""
    yield from ContactOwner.objects.values_list("owner", flat=True).iterator()
    media = Media.objects.order_by().values_list("owner", flat=True).distinct()
    yield from media.iterator()
    for found in storage.list(""):
        owner = owner_of(found.key.removeprefix(PREVIEWS).partition("/")[0])
        if owner is not None:
            yield owner
