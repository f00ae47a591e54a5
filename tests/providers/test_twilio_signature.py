"""Twilio's signature, held against Twilio's own validator."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import override_settings
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pytest_django import Settings
from twilio.request_validator import RequestValidator

from messages_app.providers.base import Cause, IncomingRequest
from messages_app.providers.twilio import TwilioProvider

TOKEN = "0123456789abcdef0123456789abcdef"
FORM = "application/x-www-form-urlencoded; charset=UTF-8"
# Twilio's package has no types.
Validator: Any = RequestValidator
validator = Validator(TOKEN)


def is_genuine(path: str, raw: bytes, signature: str, content_type: str = FORM) -> bool:
    headers = {"x-twilio-signature": signature}
    request = IncomingRequest(
        path=path, content_type=content_type, headers=headers, body=raw
    )
    return TwilioProvider().is_genuine(request)


@pytest.fixture(autouse=True)
def _account(settings: Settings) -> None:
    settings.TWILIO_AUTH_TOKEN = [TOKEN]
    settings.PUBLIC_URL = "https://hub.example"


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("own_port", ["", ":443", ":80", ":8443"])
@pytest.mark.parametrize("signed_port", ["", ":443", ":80", ":8443"])
def test_an_address_may_be_signed_with_its_port_or_without(
    settings: Settings, scheme: str, own_port: str, signed_port: str
) -> None:
    settings.PUBLIC_URL = f"{scheme}://hub.example{own_port}"
    signed, form = f"{scheme}://hub.example{signed_port}/x", {"a": "1"}
    signature = validator.compute_signature(signed, form)
    expected = validator.validate(f"{settings.PUBLIC_URL}/x", form, signature)
    assert is_genuine("/x", b"a=1", signature) is expected


def test_a_hub_below_a_path_is_signed_with_that_path(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://example.com/hub"
    signature = validator.compute_signature("https://example.com/hub/x", {"a": "1"})
    assert is_genuine("/x", b"a=1", signature)


@pytest.mark.parametrize(
    "path", ["/x?b=2&a=1", "/x?a=%41&b=+", "/x?a=1%2F", "/%7Ex/?q"]
)
def test_path_and_query_are_signed_exactly_as_they_came(path: str) -> None:
    signature = validator.compute_signature(f"https://hub.example{path}", {"a": "1"})
    assert is_genuine(path, b"a=1", signature)
    assert not is_genuine(path + "&c=3", b"a=1", signature)


def test_an_address_that_is_none_is_signed_as_it_stands(settings: Settings) -> None:
    settings.PUBLIC_URL = "hub"
    signature = validator.compute_signature("hub/x", {"a": "1"})
    assert is_genuine("/x", b"a=1", signature)


fields = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=6)
repeated = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["", "1", "é", " "])), max_size=4
)
forms = st.builds(
    lambda once, often: urlencode([*once, *often], errors="replace"), fields, repeated
)


@given(form=forms, port=st.sampled_from(["", ":443"]))
@example("Body", "")
@example("a=2&a=1&a=2", "")
@example("a=1&&b=2&", "")
@example("a=b=c", "")
@example("=nameless", "")
@example("a=+x+&b=2&B=3", "")
@example("a=%20x%0A&b=%2B+", "")
@example("a=%F0%9F%91%8D&%C3%A9=%C3%A9", "")
@effort(deadline=None)
def test_any_form_is_signed_as_by_twilio(form: str, port: str) -> None:
    address = f"https://hub.example{port}/x"
    signature = validator.compute_signature(address, QueryDict(form))
    with override_settings(TWILIO_AUTH_TOKEN=[TOKEN], PUBLIC_URL="https://hub.example"):
        assert is_genuine("/x", form.encode(), signature)
        assert not is_genuine("/x", form.encode() + b"&more=1", signature)


BODY = json.dumps({"Body": "Hi"})
DIGEST = hashlib.sha256(BODY.encode()).hexdigest()


@pytest.mark.parametrize(
    ("query", "raw"),
    [
        (f"?bodySHA256={DIGEST}", BODY),
        (f"?a=1&bodySHA256={DIGEST}", BODY),
        (f"?bodySHA256={DIGEST}", BODY + " "),
        (f"?bodySHA256={DIGEST[:-1]}", BODY),
    ],
)
def test_another_body_than_a_form_is_signed_by_its_digest(query: str, raw: str) -> None:
    url = f"https://hub.example/x{query}"
    signature = validator.compute_signature(url, {})
    assert is_genuine(
        f"/x{query}", raw.encode(), signature, "application/json"
    ) is validator.validate(url, raw, signature)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
@pytest.mark.parametrize("path", ["/x", "/x?bodySHA256=", "/x?bodysha256=" + DIGEST])
def test_another_body_than_a_form_is_refused_where_nothing_signs_it(
    path: str, content_type: str
) -> None:
    signature = validator.compute_signature(f"https://hub.example{path}", {})
    assert not is_genuine(path, BODY.encode(), signature, content_type)


def test_a_digest_in_the_address_does_not_excuse_the_fields_of_a_form() -> None:
    raw = b"Body=forged"
    path = f"/x?bodySHA256={hashlib.sha256(raw).hexdigest()}"
    signature = validator.compute_signature(f"https://hub.example{path}", {})
    assert not is_genuine(path, raw, signature)


def test_more_fields_than_twilio_has_are_refused_before_they_are_taken_apart() -> None:
    form = "&".join(f"a{number}=1" for number in range(1_001))
    params = {f"a{number}": "1" for number in range(1_001)}
    signature = validator.compute_signature("https://hub.example/x", params)
    assert not is_genuine("/x", form.encode(), signature)


# --- shared keys --------------------------------------------------------------------------


SHARED = "shared-key-secret"


def shared_key_request(signature: str, named: str) -> IncomingRequest:
    headers = {
        "x-twilio-signature": signature,
        "x-twilio-webhooks-signature-settings": named,
    }
    return IncomingRequest(
        path="/x", content_type=FORM, headers=headers, body=b"Body=Hi"
    )


@pytest.mark.parametrize("algorithm", ["HMAC_SHA256", "HMAC_SHA1"])
def test_a_shared_key_signs_by_the_algorithm_that_its_header_names(
    settings: Settings, algorithm: str
) -> None:
    settings.TWILIO_SHARED_KEY_SECRET = ["an-older-one", SHARED]
    signature = Validator(SHARED).compute_signature(
        "https://hub.example/x", {"Body": "Hi"}, algorithm
    )
    request = shared_key_request(
        signature, f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    )
    assert TwilioProvider().refusal_of_headers(request.headers) is None
    assert TwilioProvider().is_genuine(request)
    assert not TwilioProvider().is_genuine(replace(request, body=b"Body=Ho"))
    # Without the header it is the account's own token that signs.
    assert not is_genuine("/x", b"Body=Hi", signature)


@pytest.mark.parametrize(
    ("secret", "key", "algorithm"),
    [
        (TOKEN, [SHARED], "HMAC_SHA256"),
        (SHARED, [], "HMAC_SHA256"),
        ("", [""], "HMAC_SHA256"),
        (SHARED, [SHARED], "HMAC_SHA512"),
        (SHARED, [SHARED], "none"),
    ],
)
def test_another_secret_or_algorithm_than_a_shared_key_s_is_refused(
    settings: Settings, secret: str, key: list[str], algorithm: str
) -> None:
    settings.TWILIO_SHARED_KEY_SECRET = key
    signature = Validator(secret).compute_signature(
        "https://hub.example/x", {"Body": "Hi"}, "HMAC_SHA256"
    )
    request = shared_key_request(
        signature, f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    )
    assert not TwilioProvider().is_genuine(request)
    assert TwilioProvider().refusal(request).cause == (
        "wrong signature" if any(key) else "secret not set"
    )


@pytest.mark.parametrize(
    ("public_url", "headers", "called"),
    [
        ("https://hub.example", {"host": "old.example"}, "https://old.example"),
        ("https://hub.example", {"host": "old.example"}, "http://old.example"),
        ("https://hub.example", {"x-forwarded-host": "a.example"}, "https://a.example"),
        ("https://hub.example/below", {}, "https://hub.example"),
    ],
)
def test_a_refusal_names_the_address_that_was_signed(
    settings: Settings, public_url: str, headers: dict[str, str], called: str
) -> None:
    settings.PUBLIC_URL = public_url
    address = f"{called}/webhooks/twilio/"
    signature = validator.compute_signature(f"{address}?a=b", QueryDict("Body=Hi"))
    refused = TwilioProvider().refusal(
        IncomingRequest(
            path="/webhooks/twilio/?a=b",
            content_type=FORM,
            headers={"x-twilio-signature": signature, **headers},
            body=b"Body=Hi",
        )
    )
    assert refused.cause == Cause.WRONG_ADDRESS
    assert f"Twilio called {address}, and {public_url}/webhooks" in refused.reason
