"""Media ids and links that say themselves what they stand for.

The provider registers nothing: killed and started again, it still knows every file.
"""

from __future__ import annotations

import hmac
import re
import struct
from dataclasses import dataclass
from hashlib import sha256

from simulator.content import Content, Kind, content

_FIELDS = struct.Struct(">IBII")
_CHECK_BYTES = 3
_META = re.compile(r"[1-9][0-9]{0,38}")
_TWILIO = re.compile(r"ME([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class FileId:
    """One file of one message. Each part fits 32 bits."""

    kind: Kind
    seed: int
    #: When its message was sent, in seconds: ids age.
    sent_at: int
    #: 0: the size the kind has by itself.
    size: int = 0

    @classmethod
    def read(cls, text: str) -> FileId | None:
        """The id behind either vendor's form; None for one that was never given out."""
        if twilio := _TWILIO.fullmatch(text):
            packed = bytes.fromhex(twilio[1])
        elif _META.fullmatch(text) and int(text) < 1 << 128:
            packed = int(text).to_bytes(16)
        else:
            return None
        fields, check = packed[: _FIELDS.size], packed[_FIELDS.size :]
        if check != _check(fields):
            return None
        size, kind, seed, sent_at = _FIELDS.unpack(fields)
        return cls(Kind(kind), seed, sent_at, size)

    @property
    def meta(self) -> str:
        """As Meta writes ids: a decimal number."""
        return str(int.from_bytes(self._packed()))

    @property
    def twilio(self) -> str:
        """As Twilio writes ids: ``ME`` and 32 hex digits."""
        return f"ME{self._packed().hex()}"

    def content(self) -> Content:
        return content(self.kind, self.seed, self.size)

    def _packed(self) -> bytes:
        fields = _FIELDS.pack(self.size, self.kind, self.seed, self.sent_at)
        return fields + _check(fields)


def _check(fields: bytes) -> bytes:
    return sha256(fields).digest()[:_CHECK_BYTES]


def link_token(secret: str, media_id: str, issued_at: int) -> str:
    """The last part of a link to a file: the id, its hour of birth, and a seal on both."""
    return f"{media_id}.{issued_at}.{_seal(secret, media_id, issued_at)}"


def linked_id(secret: str, token: str, *, now: float, lifetime: float) -> str | None:
    """The media id behind a link's token; None when it is not ours or older than ``lifetime``
    seconds.
    """
    match = re.fullmatch(
        r"(?P<id>\w+)\.(?P<issued>[0-9]{1,12})\.(?P<seal>[0-9a-f]{32})", token, re.ASCII
    )
    if match is None:
        return None
    issued_at = int(match["issued"])
    genuine = hmac.compare_digest(match["seal"], _seal(secret, match["id"], issued_at))
    return match["id"] if genuine and now - issued_at <= lifetime else None


def _seal(secret: str, media_id: str, issued_at: int) -> str:
    return hmac.new(
        secret.encode(), f"{media_id}|{issued_at}".encode(), sha256
    ).hexdigest()[:32]
