"""Who is who: owners that are seen together are one contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from media_app.identity import computed_id
from media_app.inserts import insert_once
from messages_app import conversations
from messages_app.models import Contact, ContactOwner, Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One message's (or notice's) word on a sender."""

    #: All the addresses it names for one person.
    owners: tuple[str, ...]
    name: str = ""
    #: When the name was used; None where that is not known.
    at: datetime | None = None
    #: Whether a message was sent then.
    is_message: bool = True


def resolve(sightings: Iterable[Sighting]) -> dict[str, UUID]:
    """The contact of each owner seen, made or merged as needed, in the caller's transaction.

    A contact's id is the smallest of its owners' own ids, and its name the latest one
    seen, so that any order of sightings ends in the same contacts.
    """
    sightings = [sighting for sighting in sightings if sighting.owners]
    owners = {owner for sighting in sightings for owner in sighting.owners}
    known = dict(
        ContactOwner.objects.filter(owner__in=owners).values_list("owner", "contact_id")
    )
    resolved: dict[str, UUID] = {}
    merged: dict[UUID, UUID] = {}
    for group in _groups(sightings, known):
        before = {known[owner] for owner in group if owner in known}
        chosen = min({own_id(owner) for owner in group} | before)
        resolved |= dict.fromkeys(group, chosen)
        merged |= dict.fromkeys(before - {chosen}, chosen)
    _make(sorted({*resolved.values()} - {*known.values()}))
    # Locked before they are read: names and times only move forwards, whoever else writes them.
    contacts = (
        Contact.objects.select_for_update()
        .order_by("id")
        .in_bulk([*resolved.values(), *merged])
    )
    _remember(sightings, resolved, merged, contacts)
    insert_once(
        [
            ContactOwner(owner=owner, contact_id=id)
            for owner, id in resolved.items()
            if owner not in known
        ],
        unchanged="contact",
        on=("owner",),
    )
    for old, chosen in merged.items():
        ContactOwner.objects.filter(contact_id=old).update(contact_id=chosen)
        Message.objects.filter(contact_id=old).update(contact_id=chosen)
        conversations.moved(old, chosen)
        if contacts[old].is_held:
            Contact.objects.filter(id=chosen).update(is_held=True)
        contacts[old].delete()
    return resolved


def _make(ids: Sequence[UUID]) -> None:
    """A phone's contact book brings thousands at once."""
    try:
        with transaction.atomic():
            Contact.objects.bulk_create([Contact(id=id) for id in ids], batch_size=500)
    except IntegrityError:
        # Somebody else has made some of them.
        for id in ids:
            Contact.objects.get_or_create(id=id)


def own_id(owner: str) -> UUID:
    """The contact id that an owner would have alone."""
    return computed_id("contact", owner)


def _groups(sightings: Sequence[Sighting], known: Mapping[str, UUID]) -> list[set[str]]:
    """The owners in groups: those that share a sighting or a contact, directly or through
    others.
    """
    together: dict[UUID, list[str]] = {}
    for owner, contact_id in known.items():
        together.setdefault(contact_id, []).append(owner)
    home: dict[str, set[str]] = {}
    for bond in [*(sighting.owners for sighting in sightings), *together.values()]:
        group = set(bond).union(*(home.get(owner, ()) for owner in bond))
        home.update(dict.fromkeys(group, group))
    return list({id(group): group for group in home.values()}.values())


def _remember(
    sightings: Sequence[Sighting],
    resolved: Mapping[str, UUID],
    merged: Mapping[UUID, UUID],
    contacts: Mapping[UUID, Contact],
) -> None:
    """Move names and times forwards, those of merged contacts included."""
    before = {id: _news(contact) for id, contact in contacts.items()}
    for old, chosen in merged.items():
        contacts[chosen].absorb(
            contacts[old].name, contacts[old].named_at, contacts[old].last_message_at
        )
    for sighting in sightings:
        message_at = sighting.at if sighting.is_message else None
        contacts[resolved[sighting.owners[0]]].absorb(
            sighting.name, sighting.at, message_at
        )
    changed = [
        contact for id, contact in contacts.items() if before[id] != _news(contact)
    ]
    Contact.objects.bulk_update(
        changed, ["name", "named_at", "last_message_at"], batch_size=500
    )


def _news(contact: Contact) -> tuple[object, ...]:
    return contact.name, contact.named_at, contact.last_message_at
