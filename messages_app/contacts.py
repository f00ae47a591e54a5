"""Who is who: owners that are seen together are one contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from media_app.identity import computed_id
from messages_app.models import Contact, ContactOwner, Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """One message's (or notice's) word on a sender."""

    #: All the addresses it names for one person.
    owners: tuple[str, ...]
    name: str = ""
    #: When it was sent; None where it is no message.
    at: datetime | None = None


def resolve(sightings: Iterable[Sighting]) -> dict[str, UUID]:
    """The contact of each owner seen, made or merged as needed, in the caller's transaction.

    A contact's id is the smallest of its owners' own ids, and its name the latest one
    seen, so that any order of sightings ends in the same contacts.
    """
    sightings = [sighting for sighting in sightings if sighting.owners]
    owners = {owner for sighting in sightings for owner in sighting.owners}
    known = dict(ContactOwner.objects.filter(owner__in=owners).values_list("owner", "contact_id"))
    resolved: dict[str, UUID] = {}
    merged: dict[UUID, UUID] = {}
    for group in _groups(sightings, known):
        before = {known[owner] for owner in group if owner in known}
        chosen = min({own_id(owner) for owner in group} | before)
        resolved |= dict.fromkeys(group, chosen)
        merged |= dict.fromkeys(before - {chosen}, chosen)
    contacts = Contact.objects.in_bulk({*resolved.values(), *merged})
    _remember(sightings, resolved, merged, contacts)
    ContactOwner.objects.bulk_create(
        ContactOwner(owner=owner, contact_id=id) for owner, id in sorted(resolved.items()) if owner not in known
    )
    for old, chosen in merged.items():
        ContactOwner.objects.filter(contact_id=old).update(contact_id=chosen)
        Message.objects.filter(contact_id=old).update(contact_id=chosen)
        contacts[old].delete()
    return resolved


def own_id(owner: str) -> UUID:
    """The contact id that an owner would have alone."""
    return computed_id("contact", owner)


def _groups(sightings: Sequence[Sighting], known: Mapping[str, UUID]) -> list[set[str]]:
    """The owners in groups: those that share a sighting or a contact, directly or through others."""
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
    contacts: dict[UUID, Contact],
) -> None:
    """Make the contacts that are new, and move names and times of the others forwards."""
    new = {id: Contact(id=id) for id in resolved.values() if id not in contacts}
    contacts |= new
    before = {id: (contact.name, contact.last_message_at) for id, contact in contacts.items()}
    for old, chosen in merged.items():
        contacts[chosen].absorb(contacts[old].name, contacts[old].named_at, contacts[old].last_message_at)
    for sighting in sightings:
        contacts[resolved[sighting.owners[0]]].absorb(sighting.name, sighting.at, sighting.at)
    Contact.objects.bulk_create(sorted(new.values(), key=lambda contact: contact.id))
    changed = [
        contact
        for id, contact in sorted(contacts.items())
        if id not in new and before[id] != (contact.name, contact.last_message_at)
    ]
    Contact.objects.bulk_update(changed, ["name", "named_at", "last_message_at"])
