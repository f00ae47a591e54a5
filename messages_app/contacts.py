"""Contacts: owners that one message names together are one contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from media_app.identity import computed_id
from media_app.inserts import insert_once
from messages_app import rebuild_requests
from messages_app.models import Contact, ContactOwner, Message


@dataclass(frozen=True, kw_only=True, slots=True)
class SenderObservation:
    """What one message (or notice) says of a sender."""

    #: All the addresses that it names for one person.
    owners: tuple[str, ...]
    name: str = ""
    #: When the name was used; None where that is not known.
    at: datetime | None = None
    #: Whether a message was sent then.
    is_message: bool = True


def resolve(observations: Iterable[SenderObservation]) -> dict[str, UUID]:
    """The contact of each observed owner, created or merged as needed, in the caller's transaction.

    A contact's id is the smallest of its owners' own ids, and its name is the latest one observed:
    any order of observations ends in the same contacts.
    """
    observations = [observation for observation in observations if observation.owners]
    owners = {owner for observation in observations for owner in observation.owners}
    known = dict(
        ContactOwner.objects.filter(owner__in=owners).values_list("owner", "contact_id")
    )
    resolved: dict[str, UUID] = {}
    merged: dict[UUID, UUID] = {}
    for group in _groups(observations, known):
        before = {known[owner] for owner in group if owner in known}
        chosen = min({own_id(owner) for owner in group} | before)
        resolved |= dict.fromkeys(group, chosen)
        merged |= dict.fromkeys(before - {chosen}, chosen)
    _create(sorted({*resolved.values()} - {*known.values()}))
    # Locked before they are read: names and times must only move forwards, also beside other
    # writers.
    contacts = (
        Contact.objects.select_for_update()
        .order_by("id")
        .in_bulk([*resolved.values(), *merged])
    )
    _update_contacts(observations, resolved, merged, contacts)
    insert_once(
        [
            ContactOwner(owner=owner, contact_id=id)
            for owner, id in resolved.items()
            if owner not in known
        ],
        no_op_update="contact",
        on=("owner",),
    )
    for old, chosen in merged.items():
        ContactOwner.objects.filter(contact_id=old).update(contact_id=chosen)
        Message.objects.filter(contact_id=old).update(contact_id=chosen)
        rebuild_requests.request_merged(old, chosen)
        if contacts[old].is_held:
            Contact.objects.filter(id=chosen).update(is_held=True)
        contacts[old].delete()
    return resolved


def _create(ids: Sequence[UUID]) -> None:
    """A phone's contact book has thousands."""
    try:
        with transaction.atomic():
            Contact.objects.bulk_create([Contact(id=id) for id in ids], batch_size=500)
    except IntegrityError:
        # Another process has created some of them.
        for id in ids:
            Contact.objects.get_or_create(id=id)


def own_id(owner: str) -> UUID:
    """The contact id that an owner would have alone."""
    return computed_id("contact", owner)


def _groups(
    observations: Sequence[SenderObservation], known: Mapping[str, UUID]
) -> list[set[str]]:
    """The owners in groups: those that share an observation or a contact, directly or through
    others.
    """
    together: dict[UUID, list[str]] = {}
    for owner, contact_id in known.items():
        together.setdefault(contact_id, []).append(owner)
    observed = (observation.owners for observation in observations)
    group_of: dict[str, set[str]] = {}
    for owners in [*observed, *together.values()]:
        group = set(owners).union(*(group_of.get(owner, ()) for owner in owners))
        group_of.update(dict.fromkeys(group, group))
    return list({id(group): group for group in group_of.values()}.values())


def _update_contacts(
    observations: Sequence[SenderObservation],
    resolved: Mapping[str, UUID],
    merged: Mapping[UUID, UUID],
    contacts: Mapping[UUID, Contact],
) -> None:
    """Move names and times forwards, those of merged contacts included."""
    before = {id: _changing_fields(contact) for id, contact in contacts.items()}
    for old, chosen in merged.items():
        former = contacts[old]
        contacts[chosen].update_forward(
            former.name, former.named_at, former.last_message_at
        )
    for observation in observations:
        contact = contacts[resolved[observation.owners[0]]]
        message_at = None
        if observation.is_message:
            message_at = observation.at
        contact.update_forward(observation.name, observation.at, message_at)
    changed = [
        contact
        for id, contact in contacts.items()
        if before[id] != _changing_fields(contact)
    ]
    Contact.objects.bulk_update(
        changed, ["name", "named_at", "last_message_at"], batch_size=500
    )


def _changing_fields(contact: Contact) -> tuple[object, ...]:
    return contact.name, contact.named_at, contact.last_message_at
