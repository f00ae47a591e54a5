"""Tombstones: they keep what was erased from coming back.

A provider repeats its webhooks, staff replay deliveries, backups are restored. Each id of an
erased file or message is kept as an HMAC: only who has ERASURE_KEY can ask whether an id is one of
them, and nobody can list them. After a change of the key both keys are known: the new one comes
first and is used for new tombstones.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from itertools import islice
from uuid import UUID

from django.conf import settings

from media_app.inserts import insert_once
from media_app.models import Tombstone

# A statement may not have more parameters than some thousands.
BATCH = 500


class KeyMissingError(Exception):
    """ERASURE_KEY is not set, or is not the one of former erasures."""


def digests_of(text: str) -> list[str]:
    """The HMACs of a text with each of the keys, the one for new tombstones first."""
    return [
        hmac.digest(key.encode(), text.encode(), "sha256").hex()
        for key in settings.ERASURE_KEY
    ]


def digest_of(text: str) -> str:
    """Its HMAC with the key for new tombstones. Raises KeyMissingError."""
    for digest in digests_of(text):
        return digest
    raise KeyMissingError(
        "ERASURE_KEY is not set. Put a long random text there, keep a copy of it apart from "
        "the backups, and never lose it: without it erased people come back."
    )


def key_ids() -> list[str]:
    """What tells the keys apart, the one for new tombstones first. It says nothing of a key."""
    return [digest[:16] for digest in digests_of("key")]


def erased(ids: Collection[UUID]) -> set[UUID]:
    """Those of the ids that were erased. One query for BATCH ids; none where no key is set."""
    if not settings.ERASURE_KEY:
        return set()
    by_digest = {digest: id for id in ids for digest in digests_of(str(id))}
    found: set[UUID] = set()
    digests = iter(by_digest)
    while batch := list(islice(digests, BATCH)):
        known = Tombstone.objects.filter(digest__in=batch)
        found |= {
            by_digest[digest] for digest in known.values_list("digest", flat=True)
        }
    return found


def add(digests: Iterable[str], erasure_id: UUID) -> None:
    """Keep these HMACs. Those that are known stay as they are."""
    rows = [
        Tombstone(digest=digest, erasure_id=erasure_id) for digest in sorted({*digests})
    ]
    insert_once(rows, no_op_update="erasure_id", on=("digest",))


def remove(ids: Collection[UUID]) -> None:
    """Forget that these were erased: somebody who is not erased has sent them."""
    digests = [digest for id in ids for digest in digests_of(str(id))]
    for start in range(0, len(digests), BATCH):
        Tombstone.objects.filter(digest__in=digests[start : start + BATCH]).delete()
