"""Announced messages against their rows, files and contacts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from messages_app.models import Attachment, ContactOwner, Message
from simulator.announced_rows import (
    batches,
    file_id,
    message_id,
)
from simulator.ledger import Ledger


def present_messages(ledger: Ledger) -> dict[UUID, Message]:
    ids = [message_id(message) for message in ledger.messages]
    return {
        id: row
        for batch in batches(ids)
        for id, row in Message.objects.in_bulk(batch).items()
    }


def message_problems(ledger: Ledger, present: Mapping[UUID, Message]) -> Iterator[str]:
    attached = _attached(present)
    contacts = contacts_of(ledger)
    for message in ledger.messages:
        name = f"{message.provider} {message.message_id} of {message.owner}"
        row = present.get(message_id(message))
        if row is None:
            yield f"{name} has no row"
            continue
        if row.text != message.text:
            yield f"{name} says {row.text!r}, not {message.text!r}"
        files = []
        if message.file:
            files = [file_id(message.file)]
        if attached[row.id] != files:
            yield f"{name} holds {len(attached[row.id])} files, or others than its own {len(files)}"
        if row.contact_id is None or row.contact_id != contacts.get(message.owner):
            yield f"{name} is not its sender's"


def _attached(ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """The files of each message."""
    attached: dict[UUID, list[UUID]] = defaultdict(list)
    for batch in batches(ids):
        rows = Attachment.objects.filter(message_id__in=batch).order_by("position")
        for message, file in rows.values_list("message_id", "media_id"):
            attached[message].append(file)
    return attached


def contacts_of(ledger: Ledger) -> dict[str, UUID]:
    """The contact behind each announced sender."""
    owners = {message.owner for message in ledger.messages}
    return {
        owner: contact
        for batch in batches(owners)
        for owner, contact in ContactOwner.objects.filter(owner__in=batch).values_list(
            "owner", "contact_id"
        )
    }
