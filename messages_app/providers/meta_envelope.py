"""What a delivery of Meta's says beside its messages: the business's number, the customers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings

from media_app.identity import OLDEST_BELIEVED, owner_of
from messages_app.providers.events import Origin
from messages_app.providers.meta_json import Json, object_in, objects_in
from messages_app.providers.owners import is_number, owners_among
from messages_app.providers.text import NAME_LIMIT, TYPE_LIMIT, sanitize, sanitize_id

# The history goes back 180 days from when the number was connected; Meta delivers it for up to
# seven days.
HISTORY_BELIEVED = timedelta(days=187)
# "14 days after onboarding": the history comes soon after that.
HISTORY_MEDIA_KEPT = timedelta(days=14)


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a delivery says of one customer."""

    owners: tuple[str, ...]
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What a change says for all its messages."""

    #: The id of the business's number.
    account: str
    #: The business's number as it is written.
    business: str
    #: Cards by each of their owners.
    cards: Mapping[str, Sequence[Card]]
    #: The only card, where all messages come from one sender.
    only_card: Card | None
    received_at: datetime
    origin: Origin = "live"

    @property
    def oldest_believed(self) -> timedelta:
        if self.origin == "history":
            return HISTORY_BELIEVED
        return OLDEST_BELIEVED

    @property
    def media_expires_at(self) -> datetime | None:
        """When Meta deletes the media; None: after a time counted from each message's own."""
        if self.origin != "history":
            return None
        set_lifetime = timedelta(hours=settings.META_MEDIA_LIFETIME_HOURS)
        return self.received_at + (set_lifetime or HISTORY_MEDIA_KEPT)

    @property
    def business_owner(self) -> str:
        """The owner of what the business sends, or ""."""
        return owner_of(re.sub("[^0-9]", "", self.business)) or ""


def envelope_of(value: Json, received_at: datetime, origin: Origin) -> Envelope:
    """Read what stands beside the messages. Nothing of it is needed to keep a photo, so nothing of
    it can fail.
    """
    metadata = object_in(value, "metadata")
    customers = {sender_of(message) for message in objects_in(value, "messages")}
    customers |= {
        recipient_of(message) for message in objects_in(value, "message_echoes")
    }
    # A burst repeats its sender's card for each photo.
    cards = list(
        dict.fromkeys(_card(contact) for contact in objects_in(value, "contacts"))
    )
    by_owner: dict[str, list[Card]] = {}
    for card in cards:
        for owner in card.owners:
            by_owner.setdefault(owner, []).append(card)
    return Envelope(
        account=sanitize_id(metadata.get("phone_number_id")),
        business=sanitize(metadata.get("display_phone_number"), TYPE_LIMIT),
        cards=by_owner,
        only_card=cards[0] if len(cards) == len(customers) == 1 else None,
        received_at=received_at,
        origin=origin,
    )


def envelope_of_thread(thread: Json, envelope: Envelope) -> Envelope:
    """The envelope of a conversation in the history: all its messages are one customer's, or sent
    to them.
    """
    context = object_in(thread, "context")
    customer = Card(
        owners=owners_among(
            thread.get("id"), context.get("wa_id"), context.get("user_id")
        ),
        name=sanitize(context.get("username"), NAME_LIMIT),
    )
    cards = {owner: [customer] for owner in customer.owners}
    return replace(envelope, cards=cards, only_card=customer, origin="history")


def sender_of(message: Json) -> tuple[str, ...]:
    """The owners that the message itself names. A parent id is shared by many: it is nobody's."""
    return owners_among(message.get("from"), message.get("from_user_id"))


def recipient_of(message: Json) -> tuple[str, ...]:
    """The owners that a message of the business names for its customer."""
    return owners_among(message.get("to"), message.get("to_user_id"))


def _card(contact: Json) -> Card:
    profile = object_in(contact, "profile")
    return Card(
        owners=owners_among(contact.get("wa_id"), contact.get("user_id")),
        name=sanitize(profile.get("name"), NAME_LIMIT)
        or sanitize(profile.get("username"), NAME_LIMIT),
    )


def cards_of(sender: tuple[str, ...], envelope: Envelope) -> list[Card]:
    """The cards that share an owner with the sender; else the only card, where nothing speaks
    against it.
    """
    shared = [card for owner in sender for card in envelope.cards.get(owner, ())]
    if shared or not envelope.only_card:
        return shared
    # Two different numbers, or two different hidden ids, are two people until Meta says otherwise.
    differs = {is_number(owner) for owner in sender} & {
        is_number(owner) for owner in envelope.only_card.owners
    }
    if differs:
        return []
    return [envelope.only_card]
