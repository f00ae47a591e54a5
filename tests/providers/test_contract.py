"""What every provider promises: forgeries are refused, nothing raises, and all it says can be
kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from django.test import override_settings
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pytest_django import Settings
from twilio.request_validator import RequestValidator

from messages_app.providers import PROVIDERS, provider
from messages_app.providers.base import IncomingRequest
from messages_app.providers.events import (
    Event,
    MessageReceived,
    StatusChanged,
    Unreadable,
)
from tests.providers.deliveries import body, labels, read

SECRET = "the secret"
HUB = "https://hub.example"


def meta_signature(secret: str, request: IncomingRequest) -> str:
    return (
        "sha256=" + hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    )


def twilio_signature(secret: str, request: IncomingRequest) -> str:
    # Twilio's package has no types.
    validator: Any = RequestValidator
    fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return str(validator(secret).compute_signature(HUB + request.path, fields))


@dataclass(frozen=True, kw_only=True)
class ProviderCase:
    name: str
    setting: str
    header: str
    sign: Callable[[str, IncomingRequest], str]
    request: IncomingRequest

    def signed(self, secret: str = SECRET) -> IncomingRequest:
        return self.with_signature(self.sign(secret, self.request))

    def with_signature(self, signature: str) -> IncomingRequest:
        return replace(self.request, headers={self.header: signature})

    def is_genuine(self, request: IncomingRequest) -> bool:
        return provider(self.name).is_genuine(request)


META = ProviderCase(
    name="meta",
    setting="META_APP_SECRET",
    header="x-hub-signature-256",
    sign=meta_signature,
    request=IncomingRequest(
        path="/webhooks/meta/",
        content_type="application/json",
        headers={},
        body=body("meta", "image"),
    ),
)
TWILIO = ProviderCase(
    name="twilio",
    setting="TWILIO_AUTH_TOKEN",
    header="x-twilio-signature",
    sign=twilio_signature,
    request=IncomingRequest(
        path="/webhooks/twilio/?from=main",
        content_type="application/x-www-form-urlencoded; charset=UTF-8",
        headers={},
        body=body("twilio", "image"),
    ),
)
ENDPOINTS = ("meta", "twilio", "twilio-status")


@pytest.fixture(params=[META, TWILIO], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, settings: Settings) -> ProviderCase:
    chosen: ProviderCase = request.param
    settings.PUBLIC_URL = HUB
    setattr(settings, chosen.setting, [SECRET])
    return chosen


def test_a_provider_is_found_by_its_name() -> None:
    assert {name: provider(name).name for name in PROVIDERS} == {
        "meta": "meta",
        "twilio": "twilio",
    }


def test_an_unknown_provider_is_an_error_that_names_the_known() -> None:
    with pytest.raises(ValueError, match=r"'telegram'.*meta, twilio"):
        provider("telegram")


def test_what_the_provider_signed_is_genuine(case: ProviderCase) -> None:
    assert case.is_genuine(case.signed())


def test_what_another_signed_is_not(case: ProviderCase) -> None:
    assert not case.is_genuine(case.signed("another secret"))


def test_a_signature_does_not_pass_to_another_body(case: ProviderCase) -> None:
    signed = case.signed()
    assert not case.is_genuine(
        replace(signed, body=signed.body.replace(b"Ada", b"Eve"))
    )


def test_no_part_or_variant_of_a_signature_is_genuine(case: ProviderCase) -> None:
    right = case.sign(SECRET, case.request)
    for wrong in [
        "",
        "sha256=",
        right[:-1],
        right[1:],
        right + " ",
        right + "=",
        right.swapcase(),
        right.upper(),
    ]:
        assert not case.is_genuine(case.with_signature(wrong)), wrong


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_another_algorithm_is_not_genuine(case: ProviderCase, algorithm: str) -> None:
    digest = hmac.new(SECRET.encode(), case.request.body, algorithm)
    spellings = [
        f"{algorithm}={digest.hexdigest()}",
        digest.hexdigest(),
        base64.b64encode(digest.digest()).decode(),
    ]
    wrong = set(spellings) - {case.sign(SECRET, case.request)}
    assert not any(
        case.is_genuine(case.with_signature(signature)) for signature in wrong
    )


def test_the_old_and_the_new_secret_are_both_good(
    case: ProviderCase, settings: Settings
) -> None:
    setattr(settings, case.setting, ["new", "old"])
    assert case.is_genuine(case.signed("new"))
    assert case.is_genuine(case.signed("old"))
    assert not case.is_genuine(case.signed())


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_is_genuine(
    case: ProviderCase, settings: Settings, secrets: list[str]
) -> None:
    setattr(settings, case.setting, secrets)
    assert not case.is_genuine(case.signed(""))
    assert not case.is_genuine(case.request)


@given(
    name=st.sampled_from([META, TWILIO]),
    path=st.text(),
    kind=st.text(),
    signature=st.text(),
    raw=st.binary(),
)
@example(name=TWILIO, path="//[", kind="application/json", signature="", raw=b"")
@example(
    name=TWILIO,
    path="/\ud800",
    kind="application/x-www-form-urlencoded",
    signature="\ud800",
    raw=b"",
)
@example(name=TWILIO, path="/?bodySHA256=\ud800", kind="", signature="é", raw=b"")
@effort(deadline=None)
def test_no_request_makes_the_check_raise(
    name: ProviderCase, path: str, kind: str, signature: str, raw: bytes
) -> None:
    request = IncomingRequest(
        path=path, content_type=kind, headers={name.header: signature}, body=raw
    )
    with override_settings(
        META_APP_SECRET=[SECRET], TWILIO_AUTH_TOKEN=[SECRET], PUBLIC_URL=HUB
    ):
        assert not name.is_genuine(request)
        assert provider(name.name).refusal(request).reason


def strings_in(value: Any) -> Iterator[str]:
    """All strings in a JSON value, the names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from (name, *strings_in(part))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings_in(part)
    elif isinstance(value, float):
        assert math.isfinite(value)


def check_sanitized(events: list[Event]) -> None:
    """PostgreSQL would take all of it, in columns of the lengths that they have."""
    for event in events:
        for text in strings_in(asdict(event)):
            assert "\x00" not in text
            text.encode()
        if isinstance(event, MessageReceived):
            assert event.provider_message_id
            assert len(event.kind) <= 32
            assert max(len(event.name), len(event.business)) <= 255
            assert (
                max(
                    len(event.provider_message_id),
                    len(event.refers_to),
                    len(event.account),
                )
                <= 500
            )
            assert all(
                file.provider_media_id or file.url or file.not_passed_on
                for file in event.media
            )
        if isinstance(event, StatusChanged):
            assert len(event.status) <= 32
        if isinstance(event, Unreadable):
            assert not event.error.startswith("a fault of ours")
            json.dumps(event.payload, allow_nan=False)


VALID = [("meta", label) for label in sorted(labels("meta"))] + [
    ("twilio-status" if label.startswith("status") else "twilio", label)
    for label in sorted(labels("twilio"))
]
# Text as hostile as JSON and forms can carry, half emoji and NUL included.
WORDS = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | WORDS
    | st.just("x" * 70_000),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(WORDS, parts, max_size=3)
    ),
    max_leaves=5,
)


def written(value: Any) -> bytes:
    """A value as JSON, its infinite numbers as those that JSON can spell: 1e999."""
    return json.dumps(value).replace("Infinity", "1e999").encode()


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON value, as its container and its name or number there."""
    places = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for place, part in places:
        yield value, place
        yield from nodes(part)


@pytest.mark.parametrize(("endpoint", "label"), VALID)
def test_all_that_a_delivery_says_can_be_stored(endpoint: str, label: str) -> None:
    check_sanitized(read(body(endpoint.partition("-")[0], label), endpoint))


@given(endpoint=st.sampled_from(ENDPOINTS), raw=st.binary())
@effort(deadline=None)
def test_no_bytes_make_reading_raise(endpoint: str, raw: bytes) -> None:
    check_sanitized(read(raw, endpoint))


@given(which=st.sampled_from(VALID), data=st.data())
@effort(deadline=None)
def test_no_damage_to_the_bytes_of_a_delivery_makes_reading_raise(
    which: tuple[str, str], data: st.DataObject
) -> None:
    endpoint, label = which
    raw = bytearray(body(endpoint.partition("-")[0], label))
    start = data.draw(st.integers(0, len(raw)))
    raw[start : start + data.draw(st.integers(0, 30))] = data.draw(
        st.binary(max_size=30)
    )
    check_sanitized(read(bytes(raw), endpoint))


@given(
    label=st.sampled_from(sorted(labels("meta") - {"burst", "burst_third_broken"})),
    data=st.data(),
)
@effort(deadline=None, max_examples=300)
def test_no_value_in_the_wrong_place_makes_reading_meta_raise(
    label: str, data: st.DataObject
) -> None:
    payload = json.loads(body("meta", label))
    for _ in range(data.draw(st.integers(1, 2))):
        container, place = data.draw(st.sampled_from(list(nodes(payload))))
        container[place] = data.draw(JSON)
    check_sanitized(read(written(payload), "meta"))


@given(
    which=st.sampled_from([pair for pair in VALID if pair[0] != "meta"]), data=st.data()
)
@effort(deadline=None)
def test_no_value_in_the_wrong_field_makes_reading_twilio_raise(
    which: tuple[str, str], data: st.DataObject
) -> None:
    endpoint, label = which
    fields = parse_qsl(
        body("twilio", label).decode(errors="replace"), keep_blank_values=True
    )
    place = data.draw(st.integers(0, len(fields) - 1))
    fields[place] = (fields[place][0], data.draw(WORDS | st.just("x" * 70_000)))
    check_sanitized(read(urlencode(fields, errors="surrogatepass").encode(), endpoint))


@given(caption=WORDS, name=WORDS, time=JSON, digest=JSON)
@effort(deadline=None)
def test_nothing_beside_a_photo_can_lose_it(
    caption: str, name: str, time: object, digest: object
) -> None:
    payload = json.loads(body("meta", "image"))
    value = payload["entry"][0]["changes"][0]["value"]
    value["contacts"][0]["profile"]["name"] = name
    value["messages"][0]["timestamp"] = time
    value["messages"][0]["image"] |= {
        "caption": caption,
        "sha256": digest,
        "file_size": digest,
        "url": digest,
    }
    (photo,) = read(written(payload), "meta")
    assert isinstance(photo, MessageReceived)
    assert [file.provider_media_id for file in photo.media] == ["9000000000000001"]
