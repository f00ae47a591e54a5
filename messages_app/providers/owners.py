"""The senders: one person may be named by a number and by a hidden id at once."""

from __future__ import annotations

from media_app.identity import WHATSAPP, owner_of
from messages_app.providers.text import NAME_LIMIT, sanitize


def owners_among(*addresses: object, scheme: str = WHATSAPP) -> tuple[str, ...]:
    """The canonical owners that these addresses name, each once, the number first.

    ``scheme`` is that of addresses which name none.
    """
    named = (owner_of(sanitize(address, NAME_LIMIT), scheme) for address in addresses)
    owners = dict.fromkeys(owner for owner in named if owner)
    return tuple(sorted(owners, key=lambda owner: not is_number(owner)))


def is_number(owner: str) -> bool:
    """Whether an owner is a phone number; otherwise it is a hidden id."""
    return ":+" in owner
