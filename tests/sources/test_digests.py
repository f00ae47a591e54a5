from __future__ import annotations

import base64
import hashlib

import pytest

from media_app.digests import digest_hex

# Its base64 has a + and a /.
DIGEST = hashlib.sha256(b"").digest()


@pytest.mark.parametrize(
    "text",
    [
        DIGEST.hex(),
        DIGEST.hex().upper(),
        f" {DIGEST.hex()}\n",
        base64.b64encode(DIGEST).decode(),
        base64.b64encode(DIGEST).decode().rstrip("="),
        base64.urlsafe_b64encode(DIGEST).decode(),
        base64.urlsafe_b64encode(DIGEST).decode().rstrip("="),
    ],
)
def test_every_spelling_of_a_digest_becomes_lower_case_hex(text: str) -> None:
    assert digest_hex(text) == DIGEST.hex()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        DIGEST.hex()[:-1],
        f"{DIGEST.hex()}0",
        "g" * 64,
        "٣" * 64,
        base64.b64encode(DIGEST[:-1]).decode(),
        base64.b64encode(DIGEST + b"x").decode(),
        base64.b64encode(DIGEST).decode().replace("+", "!"),
    ],
)
def test_what_is_no_sha256_is_empty(text: str) -> None:
    assert digest_hex(text) == ""
