"""SHA-256 digests in the spellings that providers use."""

from __future__ import annotations

import base64
import binascii
import re

_HEX = re.compile(r"[0-9a-fA-F]{64}")
# 32 bytes in base64, standard or URL-safe, with or without the padding.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")


def digest_hex(text: str) -> str:
    """The digest as lower-case hex, or "" for text that is not a valid one.

    Meta sends base64 in webhooks and hex in the answer to ``GET /<media id>``.

    >>> digest_hex("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    text = text.strip()
    if _HEX.fullmatch(text):
        return text.lower()
    if not _BASE64.fullmatch(text):
        return ""
    try:
        return base64.urlsafe_b64decode(
            text.rstrip("=").translate(str.maketrans("+/", "-_")) + "="
        ).hex()
    except binascii.Error:
        return ""
