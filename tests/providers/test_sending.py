"""Sending: to simulated providers, which refuse what the real ones do, and to hostile ones."""

from __future__ import annotations

import json
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from pytest_django import Settings
from twilio.request_validator import RequestValidator

from messages_app.providers import http, provider_of
from messages_app.providers import provider as provider_called
from messages_app.providers.base import (
    Button,
    IncomingRequest,
    OutgoingMessage,
    RawDelivery,
)
from messages_app.providers.events import MessageReceived, StatusChanged
from messages_app.providers.sending import (
    CredentialsRefusedError,
    NotSentError,
    RefusedError,
    SendError,
    UnknownOutcomeError,
)
from simulator.accounts import Accounts
from simulator.processes import free_port
from simulator.provider import SimulatedProvider
from tests.providers.deliveries import ADA, ADA_HIDDEN, RECEIVED, body
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
from tests.sources.certificate import self_signed

ACCOUNTS = Accounts()
REFERENCE = "7b1c3a52-0a43-5c3e-9a3e-5a2d0f2b6f11"
YES_OR_NO = (Button(id="add", title="Yes, add"), Button(id="skip", title="No, skip"))
SECRETS = ("hush-one", "hush-two")


@dataclass(frozen=True, kw_only=True)
class ProviderCase:
    name: str
    message: OutgoingMessage
    #: The settings that hold its address and its secrets.
    url: str
    secrets: str
    path: str
    #: What it answers when all is well, with the id "the-id".
    taken: Behaviour
    #: The Authorization headers that stand for SECRETS.
    authorizations: tuple[str, ...]

    def send(self, **changes: Any) -> str:
        return provider_called(self.name).send(replace(self.message, **changes))

    def error(self, status: int, code: int, *headers: str) -> Behaviour:
        """As the provider says it; Meta really quotes tokens."""
        words = f"Malformed access token {SECRETS[0]} {SECRETS[1]}"
        said = {"code": code, "message": words, "status": status}
        return answer(
            status, {"error": said} if self.name == "meta" else said, *headers
        )

    @contextmanager
    def answering(
        self,
        settings: Settings,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
    ) -> Iterator[Receiver]:
        with Receiver(*behaviours, tls=tls) as receiver:
            setattr(settings, self.url, receiver.url)
            setattr(settings, self.secrets, list(SECRETS))
            yield receiver


META = ProviderCase(
    name="meta",
    message=OutgoingMessage(
        account=ACCOUNTS.meta_phone_number_id,
        business=ACCOUNTS.meta_number,
        to=ADA,
        text="All ten photos are here.",
        reference=REFERENCE,
    ),
    url="META_GRAPH_URL",
    secrets="META_ACCESS_TOKEN",
    path=f"/v25.0/{ACCOUNTS.meta_phone_number_id}/messages",
    taken=answer(
        200, {"messaging_product": "whatsapp", "messages": [{"id": "the-id"}]}
    ),
    authorizations=tuple(f"Bearer {secret}" for secret in SECRETS),
)
TWILIO = ProviderCase(
    name="twilio",
    message=replace(
        META.message,
        account=ACCOUNTS.twilio_account_sid,
        business=ACCOUNTS.twilio_number,
    ),
    url="TWILIO_API_URL",
    secrets="TWILIO_AUTH_TOKEN",
    path=f"/2010-04-01/Accounts/{ACCOUNTS.twilio_account_sid}/Messages.json",
    taken=answer(201, {"sid": "the-id", "status": "queued"}),
    authorizations=tuple(
        "Basic "
        + b64encode(f"{ACCOUNTS.twilio_account_sid}:{secret}".encode()).decode()
        for secret in SECRETS
    ),
)


@pytest.fixture(autouse=True)
def hub(settings: Settings, provider: SimulatedProvider) -> Settings:
    settings.PUBLIC_URL = "https://hub.example"
    provider.sends.clear()
    return settings


@pytest.fixture(params=[META, TWILIO], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> ProviderCase:
    chosen: ProviderCase = request.param
    return chosen


# --- what arrives -------------------------------------------------------------


def test_a_message_arrives_and_its_id_comes_back(
    case: ProviderCase, provider: SimulatedProvider
) -> None:
    id = case.send()
    (sent,) = provider.sends
    assert (sent.provider, sent.provider_message_id) == (case.name, id)


@pytest.mark.parametrize("owner", [ADA, ADA_HIDDEN])
def test_a_customer_is_reached_by_number_and_by_hidden_id(
    case: ProviderCase, provider: SimulatedProvider, owner: str
) -> None:
    case.send(to=owner)
    (sent,) = provider.sends
    assert sent.to.removeprefix("whatsapp:").lstrip("+") == owner.removeprefix(
        "whatsapp:"
    ).lstrip("+")


@pytest.mark.parametrize("buttons", [(), YES_OR_NO])
def test_a_text_of_any_length_is_accepted(
    case: ProviderCase, provider: SimulatedProvider, buttons: tuple[Button, ...]
) -> None:
    case.send(text="one photo 📷 " * 1_000, buttons=buttons)
    (sent,) = provider.sends
    assert "…" in str(sent.body)


def test_a_text_is_sanitized_before_it_is_sent(
    case: ProviderCase, provider: SimulatedProvider
) -> None:
    case.send(text="a\x00b\ud83d")
    assert "a\ufffdb\ufffd" in str(provider.sends[0].body)


def test_meta_is_told_a_text_without_a_preview(provider: SimulatedProvider) -> None:
    META.send()
    assert provider.sends[0].body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "14335551212",
        "type": "text",
        "text": {"body": "All ten photos are here.", "preview_url": False},
        "biz_opaque_callback_data": REFERENCE,
    }


def test_meta_is_told_a_hidden_id_in_a_field_of_its_own(
    provider: SimulatedProvider,
) -> None:
    META.send(to=ADA_HIDDEN)
    assert (provider.sends[0].body["recipient"], "to" in provider.sends[0].body) == (
        "US.4815162342",
        False,
    )


def test_meta_shows_buttons(provider: SimulatedProvider) -> None:
    META.send(text="Add it?", buttons=YES_OR_NO)
    assert provider.sends[0].body["interactive"] == {
        "type": "button",
        "body": {"text": "Add it?"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "add", "title": "Yes, add"}},
                {"type": "reply", "reply": {"id": "skip", "title": "No, skip"}},
            ]
        },
    }


def test_twilio_is_told_both_numbers_in_whatsapp_s_form_and_where_to_call_back(
    provider: SimulatedProvider,
) -> None:
    TWILIO.send()
    assert provider.sends[0].body == {
        "From": f"whatsapp:{ACCOUNTS.twilio_number}",
        "To": "whatsapp:+14335551212",
        "Body": "All ten photos are here.",
        "StatusCallback": f"https://hub.example/webhooks/twilio/status/?reference={REFERENCE}",
    }


@pytest.mark.parametrize(
    ("customer", "sender", "to"),
    [
        ("sms:+14335551212", ACCOUNTS.twilio_number, "+14335551212"),
        ("sms:72345", ACCOUNTS.twilio_number, "72345"),
        ("rcs:+14335551212", f"rcs:{ACCOUNTS.twilio_number}", "rcs:+14335551212"),
        (
            "messenger:14335551212",
            f"messenger:{ACCOUNTS.twilio_number}",
            "messenger:14335551212",
        ),
    ],
)
def test_twilio_answers_on_the_customer_s_channel(
    provider: SimulatedProvider, customer: str, sender: str, to: str
) -> None:
    TWILIO.send(to=customer, text="Add it?", buttons=YES_OR_NO)
    sent = provider.sends[0].body
    assert (sent["From"], sent["To"]) == (sender, to)
    # Only WhatsApp shows what stands between asterisks in bold.
    assert sent["Body"] == "Add it?\n\nAnswer Yes, add or No, skip."


def test_twilio_gets_buttons_as_text(
    provider: SimulatedProvider,
) -> None:
    TWILIO.send(text="Add it?", buttons=YES_OR_NO)
    assert (
        provider.sends[0].body["Body"] == "Add it?\n\nAnswer *Yes, add* or *No, skip*."
    )


def test_however_long_the_text_twilio_s_customer_sees_the_choice(
    provider: SimulatedProvider,
) -> None:
    TWILIO.send(text="x" * 2_000, buttons=YES_OR_NO)
    text = provider.sends[0].body["Body"]
    assert (len(text), text.endswith("x…\n\nAnswer *Yes, add* or *No, skip*.")) == (
        1_600,
        True,
    )


def test_a_message_can_be_answered_on_the_number_it_came_to(case: ProviderCase) -> None:
    (heard, *_) = provider_called(case.name).read(
        RawDelivery(
            endpoint=case.name,
            content_type="",
            query="",
            body=body(case.name, "text"),
            received_at=RECEIVED,
        )
    )
    assert isinstance(heard, MessageReceived)
    # Twilio speaks for numbers in E.164 alone; Meta is told the account instead.
    assert re.fullmatch(r"[0-9]+" if case is META else r"\+[0-9]+", heard.business)


# --- the reference comes back --------------------------------------------------


def status_of(endpoint: str, query: str, content: bytes) -> StatusChanged:
    delivery = RawDelivery(
        endpoint=endpoint,
        content_type="",
        query=query,
        body=content,
        received_at=RECEIVED,
    )
    (event,) = provider_of(endpoint).read(delivery)
    assert isinstance(event, StatusChanged)
    return event


def test_meta_s_status_brings_the_reference_back(provider: SimulatedProvider) -> None:
    id = META.send()
    status = {
        "id": id,
        "status": "sent",
        "biz_opaque_callback_data": provider.sends[0].body["biz_opaque_callback_data"],
    }
    value = {
        "metadata": {"phone_number_id": META.message.account},
        "statuses": [status],
    }
    envelope = {"entry": [{"changes": [{"field": "messages", "value": value}]}]}
    came = status_of("meta", "", json.dumps(envelope).encode())
    assert (came.provider_message_id, came.reference) == (id, REFERENCE)


def test_twilio_s_status_brings_the_reference_back(provider: SimulatedProvider) -> None:
    id = TWILIO.send()
    query = urlsplit(provider.sends[0].body["StatusCallback"]).query
    came = status_of(
        "twilio-status", query, f"MessageSid={id}&MessageStatus=sent".encode()
    )
    assert (came.provider_message_id, came.reference) == (id, REFERENCE)


@pytest.mark.parametrize("reference", ["a b&c=d", "ü#?/", "1+1"])
def test_any_reference_survives_the_address_it_travels_in(
    provider: SimulatedProvider, reference: str
) -> None:
    TWILIO.send(reference=reference)
    query = urlsplit(provider.sends[0].body["StatusCallback"]).query
    assert (
        status_of(
            "twilio-status", query, b"MessageSid=SM1&MessageStatus=sent"
        ).reference
        == reference
    )


@pytest.mark.parametrize("query", ["", "reference=", "other=1", "\udcff", "%ff=%ff"])
def test_a_status_without_a_reference_has_none(query: str) -> None:
    assert (
        status_of(
            "twilio-status", query, b"MessageSid=SM1&MessageStatus=sent"
        ).reference
        == ""
    )


@pytest.mark.parametrize("query", ["reference=a%00b", "reference=a\udcffb"])
def test_a_reference_is_sanitized(query: str) -> None:
    assert (
        status_of(
            "twilio-status", query, b"MessageSid=SM1&MessageStatus=sent"
        ).reference
        == "a\ufffdb"
    )


def test_twilio_signs_the_reference_with_the_status(
    provider: SimulatedProvider, settings: Settings
) -> None:
    TWILIO.send()
    callback = provider.sends[0].body["StatusCallback"]
    raw_form = b"MessageSid=SM1&MessageStatus=sent"
    # Twilio's package has no types.
    validator: Any = RequestValidator(ACCOUNTS.twilio_auth_token)
    signature = validator.compute_signature(
        callback, dict(parse_qsl(raw_form.decode()))
    )
    for path, genuine in (
        (callback.removeprefix("https://hub.example"), True),
        ("/webhooks/twilio/status/?reference=x", False),
    ):
        request = IncomingRequest(
            path=path,
            content_type="application/x-www-form-urlencoded",
            headers={"x-twilio-signature": signature},
            body=raw_form,
        )
        assert provider_called("twilio").is_genuine(request) is genuine


# --- refused by the provider ----------------------------------------------------


@pytest.mark.parametrize(
    "buttons",
    [
        tuple(Button(id=str(number), title=str(number)) for number in range(4)),
        (Button(id="a", title="x" * 21),),
        (Button(id="x" * 257, title="a"),),
        (Button(id="a", title="Same"), Button(id="b", title="Same")),
    ],
)
def test_buttons_that_meta_does_not_take_are_refused(
    provider: SimulatedProvider, buttons: tuple[Button, ...]
) -> None:
    with pytest.raises(
        RefusedError,
        match=r"^Meta answered 400, code 100: it finds something in the message",
    ):
        META.send(buttons=buttons)
    assert not provider.sends


def test_nobody_can_not_be_written_to(
    case: ProviderCase, provider: SimulatedProvider
) -> None:
    with pytest.raises(RefusedError, match="answered 400"):
        case.send(to="whatsapp:unknown")
    assert not provider.sends


@pytest.mark.parametrize(("number", "code"), [("", 21212), ("+14155550000", 63007)])
def test_twilio_does_not_speak_for_a_number_that_is_not_the_account_s(
    number: str, code: int
) -> None:
    with pytest.raises(
        RefusedError, match=f"code {code}: the business's number is not"
    ):
        TWILIO.send(business=number)


def test_our_twilio_password_is_not_used_for_another_account(
    settings: Settings,
) -> None:
    with (
        TWILIO.answering(settings) as receiver,
        pytest.raises(RefusedError, match="account AC…ffff"),
    ):
        TWILIO.send(account="AC" + "f" * 32)
    assert not receiver.requests


CODES = [
    (META, 400, 131047, RefusedError),
    (META, 400, 131026, RefusedError),
    (META, 400, 131009, RefusedError),
    (META, 400, 131062, RefusedError),
    (META, 403, 10, RefusedError),
    (META, 404, 2500, RefusedError),
    *(
        (META, 400, code, NotSentError)
        for code in (4, 80007, 130429, 131048, 131056, 133016, 131016)
    ),
    (META, 403, 4, NotSentError),
    (META, 429, 4, NotSentError),
    (META, 401, 190, CredentialsRefusedError),
    (META, 400, 190, CredentialsRefusedError),
    (META, 500, 131000, UnknownOutcomeError),
    (META, 503, 4, UnknownOutcomeError),
    (META, 200, 190, UnknownOutcomeError),
    (TWILIO, 400, 63016, RefusedError),
    (TWILIO, 400, 21610, RefusedError),
    (TWILIO, 400, 21211, RefusedError),
    (TWILIO, 404, 20404, RefusedError),
    (TWILIO, 400, 63018, NotSentError),
    (TWILIO, 429, 20429, NotSentError),
    (TWILIO, 401, 20003, CredentialsRefusedError),
    (TWILIO, 403, 20003, CredentialsRefusedError),
    (TWILIO, 500, 20500, UnknownOutcomeError),
    (TWILIO, 503, 20503, UnknownOutcomeError),
]


@pytest.mark.parametrize(
    ("case", "status", "code", "error"),
    CODES,
    ids=lambda value: getattr(value, "name", None),
)
def test_an_error_of_the_provider_s_means(
    settings: Settings,
    case: ProviderCase,
    status: int,
    code: int,
    error: type[SendError],
) -> None:
    failing = case.error(status, code)
    with (
        case.answering(settings, failing, failing) as receiver,
        pytest.raises(SendError) as caught,
    ):
        case.send()
    assert type(caught.value) is error
    assert f"answered {status}, code {code}" in str(caught.value)
    assert len(receiver.requests) == (2 if error is CredentialsRefusedError else 1)
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_outside_the_24_hours_staff_read_so(settings: Settings) -> None:
    for case, code in ((META, 131047), (TWILIO, 63016)):
        with (
            case.answering(settings, case.error(400, code)),
            pytest.raises(RefusedError, match="24 hours old"),
        ):
            case.send()


def test_a_busy_provider_says_when_to_come_back(
    case: ProviderCase, settings: Settings
) -> None:
    busy = case.error(429, 1, "retry-after: 7")
    with case.answering(settings, busy), pytest.raises(NotSentError) as caught:
        case.send()
    assert caught.value.retry_after == timedelta(seconds=7)


# --- which credentials ------------------------------------------------------------


def test_the_second_secret_is_tried_when_the_first_is_refused(
    case: ProviderCase, settings: Settings
) -> None:
    with case.answering(settings, case.error(401, 0), case.taken) as receiver:
        assert case.send() == "the-id"
    assert (
        tuple(request.headers["authorization"] for request in receiver.requests)
        == case.authorizations
    )
    assert {request.line for request in receiver.requests} == {f"POST {case.path}"}


def test_no_second_secret_is_tried_once_the_first_was_accepted(
    case: ProviderCase, settings: Settings
) -> None:
    for ending in (case.taken, hang_up, case.error(500, 1), case.error(400, 100)):
        with (
            case.answering(settings, ending, case.taken) as receiver,
            suppress(SendError),
        ):
            case.send()
        assert [request.headers["authorization"] for request in receiver.requests] == [
            case.authorizations[0]
        ]


def test_without_a_secret_nothing_is_sent(
    case: ProviderCase, settings: Settings
) -> None:
    with (
        case.answering(settings) as receiver,
        pytest.raises(CredentialsRefusedError, match=case.secrets),
    ):
        setattr(settings, case.secrets, [])
        case.send()
    assert not receiver.requests


def test_a_secret_that_can_not_be_sent_is_skipped_and_not_shown(
    settings: Settings,
) -> None:
    with META.answering(settings, META.taken) as receiver:
        settings.META_ACCESS_TOKEN = ["hush\nhush", "hush-日本"]
        with pytest.raises(
            CredentialsRefusedError, match=r"^The credentials have characters"
        ) as caught:
            META.send()
        assert caught.value.__suppress_context__
        settings.META_ACCESS_TOKEN = ["hush\nhush", "good"]
        assert META.send() == "the-id"
    assert [request.headers["authorization"] for request in receiver.requests] == [
        "Bearer good"
    ]


def test_twilio_s_api_key_goes_with_its_own_secrets_only(settings: Settings) -> None:
    settings.TWILIO_API_KEY, settings.TWILIO_API_SECRET = "SKkey", ["old", "new"]
    refused = TWILIO.error(401, 20003)
    answering = TWILIO.answering(settings, refused, refused, TWILIO.taken)
    with answering as receiver, pytest.raises(CredentialsRefusedError):
        TWILIO.send()
    expected = [
        f"Basic {b64encode(f'SKkey:{secret}'.encode()).decode()}"
        for secret in ("old", "new")
    ]
    assert [
        request.headers["authorization"] for request in receiver.requests
    ] == expected


# --- providers at their worst ----------------------------------------------------------


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


def test_the_provider_reads_what_was_sent(settings: Settings) -> None:
    with (
        META.answering(settings, META.taken) as meta,
        TWILIO.answering(settings, TWILIO.taken) as twilio,
    ):
        META.send(text="Grüße 😀")
        TWILIO.send(text="Grüße 😀")
    assert json.loads(meta.requests[0].body)["text"]["body"] == "Grüße 😀"
    assert parse_qs(twilio.requests[0].body.decode())["Body"] == ["Grüße 😀"]
