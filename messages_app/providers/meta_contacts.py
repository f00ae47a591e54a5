"""Meta's other news of customers: names in the business's contact book, and new hidden ids.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_app_state_sync
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

from __future__ import annotations

from messages_app.providers.events import ContactNamed, OwnersLinked
from messages_app.providers.meta_envelope import HISTORY_BELIEVED, Envelope
from messages_app.providers.meta_json import Json, UnreadableError, moment_of, object_in
from messages_app.providers.owners import owners_among
from messages_app.providers.text import NAME_LIMIT, sanitize


def read_contact(entry: Json, envelope: Envelope) -> list[ContactNamed]:
    """One entry of ``state_sync``. A contact that was removed keeps its last name."""
    contact = object_in(entry, "contact")
    owners = owners_among(contact.get("phone_number"), contact.get("user_id"))
    name = sanitize(contact.get("full_name"), NAME_LIMIT) or sanitize(
        contact.get("first_name"), NAME_LIMIT
    )
    if not owners:
        raise UnreadableError("the contact has no number")
    if not name or entry.get("action") == "remove":
        return []
    timestamp = object_in(entry, "metadata").get("timestamp")
    named_at, _ = moment_of(timestamp, envelope.received_at, HISTORY_BELIEVED)
    return [ContactNamed(owners=owners, name=name, named_at=named_at)]


def read_user_id_update(update: Json, envelope: Envelope) -> list[OwnersLinked]:
    """One entry of ``user_id_update``: the former and the new hidden id of one customer.

    Parent ids are left out: many people share one.
    """
    ids = object_in(update, "user_id")
    owners = owners_among(update.get("wa_id"), ids.get("previous"), ids.get("current"))
    if not owners:
        raise UnreadableError("the update names nobody")
    if len(owners) > 1:
        return [OwnersLinked(owners=owners)]
    return []
