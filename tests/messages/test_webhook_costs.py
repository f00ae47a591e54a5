"""What a request costs before its signature is known to be right."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from messages_app.models import Delivery
from messages_app.providers import provider_of
from tests.messages.mail import CLIENT, STATUS_PATH, post, twilio_form

pytestmark = pytest.mark.django_db

KIB, MIB = 1024, 1024 * 1024
FORM = "application/x-www-form-urlencoded"
PATHS = {
    "meta": "/webhooks/meta/",
    "twilio": "/webhooks/twilio/",
    "twilio-status": STATUS_PATH,
}
#: Of the right form, and made by nobody.
FORGED = {
    "meta": f"sha256={'0' * 64}",
    "twilio": f"{'A' * 27}=",
    "twilio-status": f"{'A' * 27}=",
}
HEADERS = {
    "meta": "X-Hub-Signature-256",
    "twilio": "X-Twilio-Signature",
    "twilio-status": "X-Twilio-Signature",
}


class Body(io.RawIOBase):
    """A body that is made while it is read: it takes no memory of the sender."""

    def __init__(self, size: int, pattern: bytes) -> None:
        super().__init__()
        self.read_bytes = 0
        self._size, self._pattern = size, pattern

    def read(self, limit: int = -1) -> bytes:
        size = min(limit, self._size - self.read_bytes)
        self.read_bytes += size
        return (self._pattern * (size // len(self._pattern) + 1))[:size]


def send(endpoint: str, body: Body, size: int, **headers: str) -> HttpResponse:
    extra: Any = {"wsgi.input": body, "CONTENT_LENGTH": str(size), "CONTENT_TYPE": FORM}
    path = PATHS[endpoint]
    answer: Any = CLIENT.generic("POST", path, b"", FORM, headers=headers, **extra)
    return answer  # type: ignore[no-any-return]


@contextmanager
def little_memory(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("endpoint", PATHS)
@pytest.mark.parametrize(
    "case", ["unsigned", "signed in another form", "no secret set"]
)
def test_the_body_of_an_unsigned_request_is_not_held_in_memory(
    endpoint: str, case: str, settings: Settings
) -> None:
    signature = {"unsigned": "", "signed in another form": "0" * 64}.get(
        case, FORGED[endpoint]
    )
    if case == "no secret set":
        settings.META_APP_SECRET = settings.TWILIO_AUTH_TOKEN = [""]
    body = Body(4 * MIB, b"%")
    with little_memory(3 * MIB):
        answer = send(endpoint, body, 4 * MIB, **{HEADERS[endpoint]: signature})
    assert answer.status_code == 403
    assert body.read_bytes <= MIB


@pytest.mark.parametrize("endpoint", ["twilio", "twilio-status"])
@pytest.mark.parametrize("size", [256 * KIB + 1, 10 * MIB])
def test_a_form_larger_than_any_of_twilios_is_refused_unread(
    endpoint: str, size: int
) -> None:
    body = Body(size, b"%")
    with little_memory(3 * MIB):
        answer = send(endpoint, body, size, **{HEADERS[endpoint]: FORGED[endpoint]})
    assert answer.status_code == 413
    assert body.read_bytes <= MIB


@pytest.mark.parametrize(
    "pattern", [b"%", b"%41", b"%41a", b"%4", b"+", b"&", b"=", b"a=%&"]
)
def test_the_check_of_a_form_costs_a_few_times_its_size(pattern: bytes) -> None:
    body = Body(256 * KIB, pattern)
    with little_memory(24 * 256 * KIB):
        answer = send(
            "twilio", body, 256 * KIB, **{"X-Twilio-Signature": FORGED["twilio"]}
        )
    assert answer.status_code == 403


def test_the_check_of_a_large_meta_delivery_costs_a_few_times_its_size() -> None:
    size = 4 * MIB
    with little_memory(4 * size):
        answer = send(
            "meta", Body(size, b"a=%"), size, **{"X-Hub-Signature-256": FORGED["meta"]}
        )
    assert answer.status_code == 403


def test_the_largest_form_is_stored() -> None:
    limit = provider_of("twilio").max_bytes
    form = {"MessageSid": "SM1", "Body": ""}
    form["Body"] = "x" * (limit - len(twilio_form(form).body))
    assert len(twilio_form(form).body) == limit
    assert post(twilio_form(form)).status_code == 200
    assert len(Delivery.objects.get().body) == limit
