"""A conversation: one contact and one number of the business."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from messages_app.models import PhotoSession, SessionRebuild
from messages_app.providers import provider


@dataclass(frozen=True, order=True, slots=True)
class Conversation:
    contact_id: UUID
    provider: str
    account: str
    #: The number; "" where the account is used instead, because providers write one number with
    #: spaces and without.
    business: str

    @classmethod
    def of(
        cls, contact_id: UUID, provider_name: str, account: str, business: str
    ) -> Conversation:
        if account != "" and provider(provider_name).has_account_per_number:
            business = ""
        return cls(contact_id, provider_name, account, business)

    @property
    def fields(self) -> dict[str, Any]:
        """What its messages, sessions and rebuilds have in common, for a filter."""
        fields = asdict(self)
        if self.business == "":
            del fields["business"]
        return fields


def conversation_of(row: PhotoSession | SessionRebuild) -> Conversation:
    return Conversation.of(row.contact_id, row.provider, row.account, row.business)
