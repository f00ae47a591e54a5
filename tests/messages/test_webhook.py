"""The door: who may come in, what is kept, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django.fixtures import Settings

from messages_app.models import Delivery
from messages_app.providers import provider_of
from tests.messages.mail import (
    CLIENT,
    STATUS_PATH,
    album,
    meta_bytes,
    photo,
    post,
    twilio,
    twilio_form,
)
from tests.messages.rival import locked

pytestmark = [pytest.mark.django_db]

STATUS = twilio_form(
    {"MessageSid": "SM1", "MessageStatus": "delivered", "AccountSid": "AC1"},
    STATUS_PATH,
)
SIGNED = {
    "meta": album(photo(1)),
    "twilio": twilio(photo(1, provider="twilio")),
    "twilio-status": STATUS,
}


@pytest.mark.both_databases
@pytest.mark.parametrize("endpoint", SIGNED)
def test_a_signed_delivery_is_stored_byte_for_byte(
    endpoint: str,
) -> None:
    request = SIGNED[endpoint]
    assert post(request).status_code == 200
    kept = Delivery.objects.get()
    assert (kept.endpoint, bytes(kept.body), kept.state) == (
        endpoint,
        request.body,
        "received",
    )
    assert kept.content_type == request.headers["Content-Type"]


@pytest.mark.parametrize("endpoint", SIGNED)
@pytest.mark.parametrize(
    "signature", ["", "sha256=", "sha256=" + "0" * 64, "é", "x" * 10_000]
)
def test_a_wrong_signature_is_answered_403_and_leaves_no_row(
    endpoint: str, signature: str
) -> None:
    answer = post(
        SIGNED[endpoint], X_Hub_Signature_256=signature, X_Twilio_Signature=signature
    )
    assert answer.status_code == 403
    assert not Delivery.objects.exists()


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "body",
    [b"", b"not JSON", b"\xff\xfe\x00\x00", bytes(range(256)) * 40, b"\x00" * 1000],
)
def test_an_unreadable_delivery_is_stored_as_well(body: bytes) -> None:
    assert post(meta_bytes(body)).status_code == 200
    assert bytes(Delivery.objects.get().body) == body


@pytest.mark.both_databases
def test_sixteen_mebibytes_are_stored_and_one_byte_more_is_not() -> None:
    body = b"x" * provider_of("meta").max_bytes
    assert post(meta_bytes(body + b"x")).status_code == 413
    assert not Delivery.objects.exists()
    assert post(meta_bytes(body)).status_code == 200
    assert len(Delivery.objects.get().body) == provider_of("meta").max_bytes


@pytest.mark.both_databases
@pytest.mark.parametrize("state", Delivery.State)
def test_a_repeated_delivery_only_counts_up(state: str) -> None:
    post(SIGNED["meta"])
    past = timezone.now() - timedelta(days=1)
    Delivery.objects.update(
        state=state, attempts=3, last_error="why", received_at=past, last_seen_at=past
    )
    for _ in range(3):
        assert post(SIGNED["meta"]).status_code == 200
    kept = Delivery.objects.get()
    assert (kept.times_seen, kept.state, kept.attempts, kept.last_error) == (
        4,
        state,
        3,
        "why",
    )
    assert kept.received_at == past
    assert kept.last_seen_at > past + timedelta(hours=23)


@pytest.mark.both_databases
def test_the_same_body_at_two_doors_is_two_deliveries() -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    post(twilio_form(form))
    post(twilio_form(form, STATUS_PATH))
    assert Delivery.objects.count() == 2


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("endpoint", SIGNED)
def test_what_cannot_be_committed_is_answered_503(endpoint: str) -> None:
    with locked("messages_app_delivery"):
        answer = post(SIGNED[endpoint])
    # Said by the view itself: pages have another 503 for a database that is away.
    assert (answer.status_code, b"delivery could not be kept" in answer.content) == (
        503,
        True,
    )
    assert int(answer["Retry-After"]) > 0
    assert not Delivery.objects.exists()
    assert post(SIGNED[endpoint]).status_code == 200


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_a_lost_table_is_no_reason_to_say_200() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE messages_app_delivery RENAME TO elsewhere")
        try:
            assert post(SIGNED["meta"]).status_code == 503
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO messages_app_delivery")


def test_redis_is_not_needed_to_answer_200(settings: Settings) -> None:
    # Nothing listens there.
    assert settings.REDIS_URL == "redis://127.0.0.1:1/0"
    assert post(SIGNED["meta"]).status_code == 200


@pytest.mark.parametrize(("token", "status"), [("verify-token", 200), ("another", 403)])
def test_metas_handshake_is_answered_with_its_challenge(
    token: str, status: int
) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": token}
    answer = CLIENT.get("/webhooks/meta/", {**query, "hub.challenge": "12 & 34"})
    assert answer.status_code == status
    assert (answer.content == b"12 & 34") == (status == 200)
    # A challenge of markup must not become a page.
    assert answer["Content-Type"] == "text/plain"
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/webhooks/meta/", "GET, POST"),
        ("/webhooks/twilio/", "POST"),
        (STATUS_PATH, "POST"),
    ],
)
@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
)
def test_other_methods_are_answered_405(path: str, allowed: str, method: str) -> None:
    answer = CLIENT.generic(method, path)
    if method in allowed:
        assert answer.status_code == 403
    else:
        assert (answer.status_code, answer["Allow"]) == (405, allowed)


def test_twilio_is_answered_with_empty_twiml_and_meta_with_nothing() -> None:
    for endpoint in ("twilio", "twilio-status"):
        answer = post(SIGNED[endpoint])
        assert answer["Content-Type"] == "text/xml"
        assert answer.content == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert post(SIGNED["meta"]).content == b""


def test_a_delivery_needs_no_csrf_token() -> None:
    assert (
        post(SIGNED["meta"], client=Client(enforce_csrf_checks=True)).status_code == 200
    )


def test_a_delivery_is_never_redirected(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert post(SIGNED["meta"]).status_code == 200
    assert Client().get("/admin/").status_code == 301


def test_only_the_webhooks_and_what_is_only_read_are_exempt_from_csrf() -> None:
    exempt = {
        pattern.name
        for pattern in _patterns(get_resolver().url_patterns)
        if _is_exempt(pattern.callback)
    }
    read = {"media", "media-preview", "message-file"}
    assert exempt == {"webhook-meta", "webhook-twilio", "webhook-twilio-status"} | read


def _patterns(patterns: Iterable[URLPattern | URLResolver]) -> Iterable[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns)
        else:
            yield pattern


def _is_exempt(callback: Any) -> bool:
    return bool(getattr(callback, "csrf_exempt", False))
