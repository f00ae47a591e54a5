"""The handshake that Meta makes before it sends anything."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from messages_app.providers.meta import MetaProvider

ASKED = {
    "hub.mode": "subscribe",
    "hub.verify_token": "open sesame",
    "hub.challenge": "1158201444",
}


@pytest.fixture(autouse=True)
def _tokens(settings: Settings) -> None:
    settings.META_VERIFY_TOKEN = ["open sesame", "the old wörd"]


@pytest.mark.parametrize("token", ["open sesame", "the old wörd"])
def test_the_challenge_is_the_answer_to_a_right_token(token: str) -> None:
    asked = {**ASKED, "hub.verify_token": token}
    assert MetaProvider().challenge(asked) == "1158201444"


@pytest.mark.parametrize(
    "wrong",
    [
        {"hub.verify_token": "close"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "öffne dich"},
        {"hub.verify_token": "\ud800"},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": ""},
    ],
)
def test_anything_else_is_refused(wrong: dict[str, str]) -> None:
    assert MetaProvider().challenge({**ASKED, **wrong}) is None


@pytest.mark.parametrize("missing", ASKED)
def test_an_incomplete_handshake_is_refused(missing: str) -> None:
    asked = {name: value for name, value in ASKED.items() if name != missing}
    assert MetaProvider().challenge(asked) is None


@pytest.mark.parametrize("tokens", [[], [""]])
def test_without_a_token_of_ours_nothing_opens(
    settings: Settings, tokens: list[str]
) -> None:
    settings.META_VERIFY_TOKEN = tokens
    assert MetaProvider().challenge({**ASKED, "hub.verify_token": ""}) is None
