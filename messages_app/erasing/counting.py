"""What an erasure would remove: counted, and nothing changed."""

from __future__ import annotations

from media_app.clock import database_now
from media_app.storage import media_storage
from messages_app.erasing import deliveries
from messages_app.erasing.person import Person, owners_of
from messages_app.models import OutboxItem


def counts_of(owner: str) -> dict[str, int]:
    """How much there is of the person. Raises StorageError."""
    person = Person(tuple(owners_of(owner)), database_now())
    storage = media_storage()
    return {
        "contacts": person.contacts.count(),
        "messages": person.messages().count(),
        "files": person.files().count(),
        "files_kept_for_others": person.shared_files().count(),
        "objects": sum(1 for prefix in person.prefixes() for _ in storage.list(prefix)),
        "deliveries": sum(
            bool(deliveries.own_events(delivery, person))
            for delivery in deliveries.naming(person).iterator(chunk_size=20)
        ),
        "sessions": person.sessions().count(),
        "replies": OutboxItem.objects.filter(session__in=person.sessions()).count(),
        "statuses": person.statuses().count(),
        "contacts_on_hold": person.contacts.filter(is_held=True).count(),
    }
