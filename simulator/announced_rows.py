"""The rows of what was announced: their ids are computed from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar
from uuid import UUID

from media_app.identity import computed_id, media_id
from media_app.models import Media
from messages_app.models import Message
from simulator.ledger import AnnouncedFile, AnnouncedMessage, Ledger

T = TypeVar("T")

WAITING = ("pending", "fetching", "retrying")

# As many ids as fit one query on every database.
_BATCH = 500


def file_id(file: AnnouncedFile) -> UUID:
    return media_id(
        source=file.provider, account=file.account, provider_media_id=file.media_id
    )


def message_id(message: AnnouncedMessage) -> UUID:
    return computed_id(message.provider, message.account, message.message_id)


def provider_message_ids(ledger: Ledger) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for message in ledger.messages:
        ids[message.provider].append(message.message_id)
    return ids


def file_rows(files: Sequence[AnnouncedFile]) -> dict[UUID, Media]:
    ids = [file_id(file) for file in files]
    return {
        id: row
        for batch in batches(ids)
        for id, row in Media.objects.in_bulk(batch).items()
    }


def existing_messages(ids: Iterable[UUID]) -> set[UUID]:
    return {
        id
        for batch in batches(ids)
        for id in Message.objects.filter(id__in=batch).values_list("id", flat=True)
    }


def settled_files(ids: Iterable[UUID]) -> set[UUID]:
    return {
        id
        for batch in batches(ids)
        for id in Media.objects.filter(id__in=batch)
        .exclude(state__in=WAITING)
        .values_list("id", flat=True)
    }


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(items)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
