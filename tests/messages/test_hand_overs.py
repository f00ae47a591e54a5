"""Handing a summary over to an address of the business."""

from __future__ import annotations

import hmac
import time

import pytest
from pytest_django.fixtures import Settings

from messages_app import hand_overs
from messages_app.hand_overs import HandOverError
from messages_app.providers import http
from tests.providers.receiver import Behaviour, Receiver, answer, drip, hang_up, silence

SUMMARY = {"id": "5", "revision": 1}


def test_the_address_is_called_as_it_is_written(settings: Settings) -> None:
    with Receiver(answer(204)) as shop:
        settings.SESSION_WEBHOOK_URL = (
            f"{shop.url.replace('//', '//ada:p%40ss@')}/photos in/?key=a%20b&c"
        )
        hand_overs.post(SUMMARY)
    (request,) = shop.requests
    assert request.line == "POST /photos%20in/?key=a%20b&c"
    assert request.headers["authorization"] == "Basic YWRhOnBAc3M="
    assert request.headers["idempotency-key"] == "5:1"


@pytest.mark.parametrize(
    "behaviour", [silence, hang_up, answer(302, {}, "Location: /"), answer(500, {})]
)
def test_what_is_not_confirmed_is_not_handed_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.5)
    with Receiver(behaviour) as shop:
        settings.SESSION_WEBHOOK_URL = shop.url
        with pytest.raises(HandOverError):
            hand_overs.post(SUMMARY)
    assert len(shop.requests) == 1


def test_an_answer_that_never_ends_is_not_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status has come: the business has the summary."""
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.5)
    with Receiver(drip) as shop:
        settings.SESSION_WEBHOOK_URL = shop.url
        hand_overs.post(SUMMARY)


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://ada:secret@shop.example:port/", "shop.example", "http://a b/"],
)
def test_an_address_that_is_none_is_named_without_its_secrets(
    settings: Settings, url: str
) -> None:
    settings.SESSION_WEBHOOK_URL = url
    with pytest.raises(HandOverError) as error:
        hand_overs.post(SUMMARY)
    assert "secret" not in str(error.value)


def test_a_hand_over_says_when_it_was_signed(settings: Settings) -> None:
    """The receiver refuses what is old; the same body signed later has another signature."""
    settings.SESSION_WEBHOOK_SECRET = ["new", "old"]
    with Receiver(answer(204)) as shop:
        settings.SESSION_WEBHOOK_URL = shop.url
        before = int(time.time())
        hand_overs.post(SUMMARY)
    (request,) = shop.requests
    timestamp = request.headers["x-mediahub-timestamp"]
    assert before <= int(timestamp) <= time.time()
    signed = f"{timestamp}.".encode() + request.body
    assert (
        request.headers["x-mediahub-signature"]
        == f"sha256={hmac.new(b'new', signed, 'sha256').hexdigest()}"
    )
    # Receivers of earlier releases look at this one.
    assert (
        request.headers["x-mediahub-signature-256"]
        == f"sha256={hmac.new(b'new', request.body, 'sha256').hexdigest()}"
    )


def test_photos_are_not_handed_over_for_all_to_read(settings: Settings) -> None:
    settings.SESSION_WEBHOOK_URL = "http://ada:secret@shop.example/"
    with pytest.raises(HandOverError, match="must begin with https") as error:
        hand_overs.post(SUMMARY)
    assert "secret" not in str(error.value)
