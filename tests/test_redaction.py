from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediahub.redaction import redact, redacted

NUMBER = "14335551212"
TOKEN = "sEcr3t-T0ken_0123456789abcdef"

WRITTEN = st.sampled_from(
    [
        "GET /media/3fa9c1d2/?token={token} HTTP/1.1",
        "https://hub.example/media/3fa9c1d2/?download=1&token={token}",
        "GET /webhooks/meta/?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1",
        "<WSGIRequest: GET '/media/x/?token={token}'>",
        "<QueryDict: {{'token': ['{token}'], 'position': ['1']}}>",
        '{{"access_token": "{token}", "expires": 5}}',
        '{{\\"access_token\\":\\"{token}\\"}}',
        "Authorization: Bearer {token}",
        "{{'Authorization': 'Bearer {token}'}}",
        "Cookie: sessionid={token}; csrftoken={token}",
        "redis://:{token}@cache:6379/0 refused the connection",
        "postgres://hub:{token}@db/hub?sslmode=require",
        "/bucket/whatsapp%3A%2B{number}/1716120082-0-3fa9.jpeg?X-Amz-Signature={token}",
        "Key (owner)=(whatsapp:+{number}) already exists.",
        "upstream: http://127.0.0.1/b/whatsapp%253A%252B{number}/x?X-Amz-Credential={token}",
        "whatsapp:+{number}/1716120082-0-3fa9c1d2e4b7.jpeg is not there",
        "From=whatsapp%3A%2B{number}&WaId={number}",
        "error of {{'to': '{number}', 'wa_id': \"{number}\"}}",
        "the owner {number} has no contact, +{number} neither",
    ]
)
SURROUNDED = st.text(st.characters(categories=["L", "P", "S", "Z"]), max_size=20)


@given(written=WRITTEN, before=SURROUNDED, after=SURROUNDED)
def test_no_secret_and_no_number_is_left(written: str, before: str, after: str) -> None:
    text = redact(f"{before} {written.format(token=TOKEN, number=NUMBER)} {after}")
    assert TOKEN not in text
    assert NUMBER not in text


@given(written=WRITTEN, digits=st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True))
def test_of_any_number_four_digits_are_left(written: str, digits: str) -> None:
    text = redact(written.format(token=TOKEN, number=digits))
    assert digits not in text
    if "{number}" in written:
        assert f"…{digits[-4:]}" in text


@pytest.mark.parametrize(
    "number", ["+1 433 555-1212", "+1 (433) 555-1212", "+43 664 1234567", "+290 21234"]
)
def test_a_number_in_groups_is_a_number(number: str) -> None:
    text = redact(f"call {number}, please")
    assert re.sub(r"\D", "", text) == re.sub(r"\D", "", number)[-4:]


def test_a_message_id_of_metas_holds_the_number() -> None:
    assert "HBgLMTQzMzU1NTEyMTI" not in redact(
        "wamid.HBgLMTQzMzU1NTEyMTIVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA was read"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Service Unavailable: /webhooks/meta/",
        "3fa9c1d2-1234-4678-9012-123456789012 was stored after 3 attempts, 104857600 bytes",
        "2026-11-21 14:49:41.123456+00:00: META_APP_SECRET is not set. Is it META_ACCESS_TOKEN?",
        "HTTPSConnectionPool(host='graph.facebook.com', port=443): Read timed out. (read "
        "timeout=15)",
        "Worker (pid:21305) was sent SIGKILL! Perhaps out of memory?",
        "https://hub.example/webhooks/twilio/ is the address that was checked",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_values_inside_others_are_redacted_and_numbers_stay() -> None:
    value = {
        "size": 14335551212,
        "meta_access_token": TOKEN,
        "tries": [{"url": quote(f"/x?t={TOKEN}", safe="/?=")}],
    }
    assert redacted(value) == {
        "size": 14335551212,
        "meta_access_token": "[removed]",
        "tries": [{"url": "/x?[removed]"}],
    }
