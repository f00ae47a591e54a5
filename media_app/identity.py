"""Ids, owners and keys of files: computed from what the provider says, never allocated.

Pure functions. Two processes that see the same announcement compute the same id
and the same key, so there is no counter to race and nothing to lock.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

NAMESPACE = uuid5(NAMESPACE_URL, "mediahub")

WHATSAPP, SMS, RCS, MESSENGER = "whatsapp", "sms", "rcs", "messenger"
#: What an owner begins with: the channel that it writes by.
SCHEMES = (WHATSAPP, SMS, RCS, MESSENGER)

UNKNOWN_OWNER = "whatsapp:unknown"

# Previews are below this, each below the key of its file: no listing of an owner has them.
PREVIEWS = "previews/"

# The records of erasures are below this. They are not files, and are never cleaned up: after a
# restored backup they say who has to be erased again.
ERASURES = "erasures/"

# A time outside these bounds is taken for a wrong clock of the provider.
OLDEST_BELIEVED = timedelta(days=30)
NEWEST_BELIEVED = timedelta(days=1)
# 10¹² seconds is the year 33658; at that size the number is milliseconds.
MILLISECONDS_FROM = 10**12

_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")
_HIDDEN = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*")
_MAX_HIDDEN = 160
_SHORT_CODE = re.compile(r"[0-9]{3,6}")
# Of an agent or a page: an id that its channel chooses.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,159}")
_KEY = re.compile(
    rf"(?P<owner>(?:{'|'.join(SCHEMES)}):[^/]+)/"
    r"(?P<timestamp>[0-9]{1,12})-(?P<index>[0-9]{1,4})-(?P<hex>[0-9a-f]{12})"
    r"\.(?P<ext>[a-z0-9]{1,8})"
)
_HEX = 12
_CHANNEL_NAMES = {SMS: "SMS", RCS: "RCS", MESSENGER: "Messenger"}


def computed_id(*parts: str) -> UUID:
    """The uuid5 of the parts joined by ``|``; in a part ``%`` and ``|`` are percent-encoded."""
    return uuid5(
        NAMESPACE,
        "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts),
    )


def media_id(
    *,
    source: str,
    account: str,
    provider_media_id: str = "",
    provider_message_id: str = "",
    position: int = 0,
) -> UUID:
    """A file's id: by the provider's media id, or by its place where the source gives none.

    Raises ValueError when neither a media id nor a message id is given.
    """
    if provider_media_id:
        return computed_id(source, account, provider_media_id)
    if not provider_message_id:
        raise ValueError("a file needs the provider's media id or its message id")
    return computed_id(source, account, provider_message_id, str(position))


def owner_of(address: str, scheme: str = WHATSAPP) -> str | None:
    """The canonical owner for a sender's address, or None where the address is not a valid one.

    ``scheme`` is for an address without one: the provider knows it.

    >>> owner_of("14335551212"), owner_of("whatsapp:+14335551212")
    ('whatsapp:+14335551212', 'whatsapp:+14335551212')
    >>> owner_of("US.13491208655302741918")
    'whatsapp:US.13491208655302741918'
    >>> owner_of("+14335551212", "sms"), owner_of("messenger:4815162342")
    ('sms:+14335551212', 'messenger:4815162342')
    """
    text = unicodedata.normalize("NFKC", address).strip()
    if (named := scheme_of(text)) in SCHEMES:
        scheme, text = named, text.removeprefix(f"{named}:").strip()
    # A page's id on Messenger has only digits, and is not a phone number.
    if scheme != MESSENGER and (number := _NUMBER.fullmatch(text)):
        return f"{scheme}:+{number[1]}"
    return f"{scheme}:{text}" if _is_other_address(scheme, text) else None


def _is_other_address(scheme: str, text: str) -> bool:
    """Whether the text, which is not a number in E.164, is an address on this channel."""
    if scheme == WHATSAPP:
        return len(text) <= _MAX_HIDDEN and _HIDDEN.fullmatch(text) is not None
    allowed = _SHORT_CODE if scheme == SMS else _NAME
    return allowed.fullmatch(text) is not None


def scheme_of(owner: str) -> str:
    """What stands before the first colon, or "" where there is none."""
    scheme, colon, _ = owner.partition(":")
    return scheme if colon else ""


def owner_name(owner: str) -> str:
    """An owner as people write it: the number or id, and the channel where it is not WhatsApp.

    >>> owner_name("whatsapp:+14335551212"), owner_name("sms:+14335551212")
    ('+14335551212', 'SMS +14335551212')
    """
    if owner == UNKNOWN_OWNER:
        return "unknown sender"
    scheme = scheme_of(owner)
    address = owner.removeprefix(f"{scheme}:")
    channel = _CHANNEL_NAMES.get(scheme, "")
    return f"{channel} {address}" if channel else address


def occurred_at(
    timestamp: str | int | None,
    received_at: datetime,
    oldest_believed: timedelta = OLDEST_BELIEVED,
) -> tuple[datetime, bool]:
    """When it happened, and whether that had to be assumed.

    ``timestamp`` is the provider's, in seconds (from 10¹² on: milliseconds). Missing, unreadable,
    older than ``oldest_believed`` or over a day ahead: ``received_at``, and True.
    """
    if timestamp is None:
        return received_at, True
    text = str(timestamp).strip()
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        return received_at, True
    seconds = float(text)
    if seconds >= MILLISECONDS_FROM:
        seconds /= 1000
    # Compared as numbers: a date can't be made of every one of them.
    oldest = (received_at - oldest_believed).timestamp()
    newest = (received_at + NEWEST_BELIEVED).timestamp()
    if not oldest <= seconds <= newest:
        return received_at, True
    return datetime.fromtimestamp(seconds, UTC), False


def media_key(
    *, owner: str, occurred_at: datetime, index: int, id: UUID, extension: str
) -> str:
    """The object's key: ``{owner}/{timestamp}-{index}-{12 hex of the id}.{extension}``."""
    return f"{owner}/{int(occurred_at.timestamp())}-{index}-{id.hex[:_HEX]}.{extension}"


def owner_prefix(owner: str) -> str:
    """The prefix of all objects of one owner. It ends in ``/``: +1433 is not +14335."""
    return f"{owner}/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A key read back."""

    owner: str
    timestamp: int
    index: int
    hex: str
    extension: str

    def names(self, id: UUID) -> bool:
        """Whether the key belongs to the file with this id."""
        return self.hex == id.hex[:_HEX]


def parse_key(key: str) -> Key | None:
    """Read a key of ours; None for anything else."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    return Key(
        owner=match["owner"],
        timestamp=int(match["timestamp"]),
        index=int(match["index"]),
        hex=match["hex"],
        extension=match["ext"],
    )
