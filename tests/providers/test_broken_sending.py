"""Sending to providers that are broken, slow or away."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pytest_django import Settings

from messages_app.providers import http
from messages_app.providers.sending import (
    NotSentError,
    RefusedError,
    UnknownOutcomeError,
)
from simulator.processes import free_port
from tests.providers.receiver import (
    Behaviour,
    Receiver,
    answer,
    drip,
    garbage,
    hang_up,
    raw,
    reset,
    silence,
    slowly,
)
from tests.providers.sending_cases import (
    META,
    ProviderCase,
)
from tests.sources.certificate import self_signed

pytestmark = pytest.mark.usefixtures("hub")


UNREADABLE = {
    "nothing": hang_up,
    "reset": reset,
    "garbage": garbage,
    "empty": answer(200, b""),
    "html": answer(200, b"<!doctype html>"),
    "list": answer(200, ["the-id"]),
    "no id": answer(200, {"messages": [{}], "sid": None}),
    "empty id": answer(200, {"messages": [{"id": ""}], "sid": ""}),
    "half": raw(200, b'{"messages": [{"id": "the', "Content-Length: 90"),
    "half a chunk": raw(200, b'60\r\n{"messages": [', "Transfer-Encoding: chunked"),
    "huge": answer(
        200,
        b'{"x": "'
        + b"x" * 100_000
        + b'", "sid": "the-id", "messages": [{"id": "the-id"}]}',
    ),
    "nested": answer(200, b"[" * 60_000),
    "redirect": answer(307, {}, "Location: http://127.0.0.1:1/"),
    "early": answer(103, {}),
    "failure": answer(502, b"<html>"),
    "failure with an id": answer(
        500, {"messages": [{"id": "the-id"}], "sid": "the-id"}
    ),
}


@pytest.mark.parametrize("behaviour", UNREADABLE)
def test_without_a_readable_answer_the_outcome_is_unknown(
    case: ProviderCase, settings: Settings, behaviour: str
) -> None:
    with (
        case.answering(settings, UNREADABLE[behaviour], case.taken) as receiver,
        pytest.raises(UnknownOutcomeError),
    ):
        case.send()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("behaviour", [silence, drip])
def test_a_slow_provider_leaves_the_outcome_unknown(
    case: ProviderCase,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Behaviour,
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)
    answering = case.answering(settings, behaviour, case.taken)
    with answering as receiver, pytest.raises(UnknownOutcomeError):
        case.send()
    assert len(receiver.requests) == 1


def test_an_answer_may_take_longer_than_a_connection(
    case: ProviderCase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.3)
    with case.answering(settings, slowly(case.taken, 0.6)):
        assert case.send() == "the-id"


@pytest.mark.parametrize(
    "unreadable",
    [answer(400, b"<html>"), raw(400, b"{", "Content-Length: 9"), answer(400, [])],
)
def test_a_refusal_that_can_not_be_read_is_a_refusal(
    case: ProviderCase, settings: Settings, unreadable: Behaviour
) -> None:
    with (
        case.answering(settings, unreadable),
        pytest.raises(RefusedError, match="does not take this message"),
    ):
        case.send()


def test_an_unreachable_provider_got_nothing(
    case: ProviderCase, settings: Settings
) -> None:
    setattr(settings, case.url, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSentError, match=r"^127\.0\.0\.1 could not be reached\.$"):
        case.send()


@pytest.mark.parametrize(
    "url", ["http://" + "ä" * 60 + ".example", "nowhere", "http://user@127.0.0.1:1"]
)
def test_an_address_that_is_none_got_nothing(
    case: ProviderCase, settings: Settings, url: str
) -> None:
    setattr(settings, case.url, url)
    with pytest.raises(
        NotSentError, match=r"^The address in the settings can't be called"
    ):
        case.send()


def test_a_tls_handshake_that_never_ends_carried_no_message(
    case: ProviderCase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.3)
    with (
        case.answering(settings) as receiver,
        pytest.raises(NotSentError, match="did not take the connection"),
    ):
        setattr(settings, case.url, receiver.url.replace("http:", "https:"))
        case.send()
    assert not receiver.requests


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "certificate.pem")


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_nothing_is_sent_to_a_provider_without_a_valid_certificate(
    settings: Settings, tls: ssl.SSLContext
) -> None:
    with (
        META.answering(settings, META.taken, tls=tls) as receiver,
        pytest.raises(NotSentError, match="certificate"),
    ):
        META.send()
    assert not receiver.requests


def test_over_tls_a_message_arrives_and_a_silence_is_cut(
    settings: Settings,
    certificate: Path,
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "DEFAULT_CA_BUNDLE_PATH", str(certificate))
    monkeypatch.setattr(http, "_trust", http._trust.__wrapped__)
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.5)
    with META.answering(settings, META.taken, silence, tls=tls):
        assert META.send() == "the-id"
        with pytest.raises(UnknownOutcomeError):
            META.send()


def test_the_environment_s_proxy_is_not_asked(
    case: ProviderCase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy, case.answering(settings, case.taken):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert case.send() == "the-id"
    assert not proxy.requests
