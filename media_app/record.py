"""What travels with each object, so that its row can be made again from the storage alone.

Two entries are readable for other tools (``media-id``, ``sha256``); the rest is one
entry, ``record``: JSON, deflated, then base64url (``b1.…``), or encrypted with Fernet
when MEDIA_METADATA_KEYS are set (``f1.…``). All ASCII, within the 2 KB that S3 allows.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from media_app.details import longest, without

# S3 counts names and values, 2,048 bytes in all, and rclone its own headers with them; the other
# entries need 120.
_LIMIT = 1600
# Left out in this order when a record is too long; "details" one by one, the longest first.
_LEFT_OUT_FIRST = (
    "url",
    "details",
    "filename",
    "provider_message_id",
    "provider_media_id",
    "announced_type",
    "account",
)


class RecordError(ValueError):
    """The metadata can't be read: damaged, or encrypted with a key we don't have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The lasting facts of a stored file."""

    source: str
    account: str
    provider_media_id: str
    provider_message_id: str
    position: int
    owner: str
    #: Seconds since 1970, with fractions.
    occurred_at: float
    time_assumed: bool
    announced_at: float
    announced_type: str
    filename: str
    url: str
    size: int
    content_type: str
    type_differs: bool
    details: Mapping[str, str] = field(default_factory=dict)


def encode(
    record: Record, *, id: UUID, sha256: str, keys: Sequence[str]
) -> dict[str, str]:
    """The object metadata of a file. ``keys`` are Fernet keys, the first encrypts."""
    fields = asdict(record)
    if not record.details:
        # Most files have none, and earlier versions do not know them.
        del fields["details"]
    value = _pack(fields, keys)
    for changes in _shortened(record):
        if len(value) <= _LIMIT:
            break
        fields |= changes
        value = _pack(fields, keys)
    return {"media-id": str(id), "sha256": sha256, "record": value}


def _shortened(record: Record) -> Iterator[dict[str, object]]:
    """What to change in a record that is too long, step by step."""
    for name in _LEFT_OUT_FIRST:
        if name != "details":
            yield {name: ""}
            continue
        names = longest(record.details)
        for number in range(1, len(names) + 1):
            yield {"details": without(record.details, names[:number])}


def decode(metadata: Mapping[str, str], *, keys: Sequence[str]) -> Record:
    """Read a record back. Raises RecordError."""
    version, _, packed = metadata.get("record", "").partition(".")
    if version not in {"b1", "f1"}:
        raise RecordError("no record of ours")
    if version == "f1" and not keys:
        raise RecordError("the record is encrypted and MEDIA_METADATA_KEYS is empty")
    try:
        if version == "f1":
            data = MultiFernet([Fernet(key) for key in keys]).decrypt(packed)
        else:
            data = base64.urlsafe_b64decode(packed)
        return Record(**json.loads(zlib.decompress(data)))
    except (InvalidToken, zlib.error, ValueError, TypeError, RecursionError) as error:
        raise RecordError(
            f"the record can't be read: {type(error).__name__}"
        ) from error


def _pack(fields: Mapping[str, object], keys: Sequence[str]) -> str:
    data = zlib.compress(json.dumps(fields, separators=(",", ":")).encode())
    if keys:
        return "f1." + MultiFernet([Fernet(key) for key in keys]).encrypt(data).decode()
    return "b1." + base64.urlsafe_b64encode(data).decode()
