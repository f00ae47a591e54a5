"""Messages to simulated providers, which refuse what the real ones do."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pytest_django import Settings
from twilio.request_validator import RequestValidator

from messages_app.providers import provider as provider_called
from messages_app.providers import provider_of
from messages_app.providers.base import (
    Button,
    IncomingRequest,
    RawDelivery,
)
from messages_app.providers.events import MessageReceived, StatusChanged
from simulator.provider import SimulatedProvider
from tests.providers.deliveries import ADA, ADA_HIDDEN, RECEIVED, body
from tests.providers.sending_cases import (
    ACCOUNTS,
    META,
    REFERENCE,
    TWILIO,
    YES_OR_NO,
    ProviderCase,
)

pytestmark = pytest.mark.usefixtures("hub")


def test_a_message_arrives_and_its_id_comes_back(
    case: ProviderCase, provider: SimulatedProvider
) -> None:
    id = case.send()
    (sent,) = provider.sends
    assert (sent.provider, sent.provider_message_id) == (case.name, id)


@pytest.mark.parametrize("buttons", [(), YES_OR_NO])
def test_a_text_of_any_length_is_accepted(
    case: ProviderCase, provider: SimulatedProvider, buttons: tuple[Button, ...]
) -> None:
    case.send(text="one photo 📷 " * 1_000, buttons=buttons)
    (sent,) = provider.sends
    assert "…" in str(sent.body)


@pytest.mark.parametrize(
    ("owner", "recipient"),
    [(ADA, {"to": "14335551212"}), (ADA_HIDDEN, {"recipient": "US.4815162342"})],
)
def test_meta_is_told_a_text_without_a_preview(
    provider: SimulatedProvider, owner: str, recipient: dict[str, str]
) -> None:
    META.send(to=owner, text="Grüße 😀")
    assert provider.sends[0].body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **recipient,
        "type": "text",
        "text": {"body": "Grüße 😀", "preview_url": False},
        "biz_opaque_callback_data": REFERENCE,
    }


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
    TWILIO.send(text="Grüße 😀")
    assert provider.sends[0].body == {
        "From": f"whatsapp:{ACCOUNTS.twilio_number}",
        "To": "whatsapp:+14335551212",
        "Body": "Grüße 😀",
        "StatusCallback": f"https://hub.example/webhooks/twilio/status/?reference={REFERENCE}",
    }


@pytest.mark.parametrize(
    ("customer", "prefix", "to", "choice"),
    [
        ("sms:+14335551212", "", "+14335551212", "Yes, add or No, skip"),
        ("sms:72345", "", "72345", "Yes, add or No, skip"),
        ("rcs:+14335551212", "rcs:", "rcs:+14335551212", "Yes, add or No, skip"),
        ("messenger:1", "messenger:", "messenger:1", "Yes, add or No, skip"),
        # Only WhatsApp shows what stands between asterisks in bold.
        (ADA, "whatsapp:", ADA, "*Yes, add* or *No, skip*"),
        (ADA_HIDDEN, "whatsapp:", ADA_HIDDEN, "*Yes, add* or *No, skip*"),
    ],
)
def test_twilio_answers_on_the_customer_s_channel(
    provider: SimulatedProvider, customer: str, prefix: str, to: str, choice: str
) -> None:
    TWILIO.send(to=customer, text="Add it?", buttons=YES_OR_NO)
    sent = provider.sends[0].body
    assert (sent["From"], sent["To"]) == (f"{prefix}{ACCOUNTS.twilio_number}", to)
    assert sent["Body"] == f"Add it?\n\nAnswer {choice}."


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


@pytest.mark.parametrize("reference", [REFERENCE, "a b&c=d", "ü#?/", "1+1"])
def test_twilio_s_status_brings_the_reference_back(
    provider: SimulatedProvider, reference: str
) -> None:
    id = TWILIO.send(reference=reference)
    query = urlsplit(provider.sends[0].body["StatusCallback"]).query
    form = f"MessageSid={id}&MessageStatus=sent".encode()
    came = status_of("twilio-status", query, form)
    assert (came.provider_message_id, came.reference) == (id, reference)


@pytest.mark.parametrize(
    ("query", "reference"),
    [
        *((query, "") for query in ("", "reference=", "other=1", "\udcff", "%ff=%ff")),
        ("reference=a%00b", "a\ufffdb"),
        ("reference=a\udcffb", "a\ufffdb"),
    ],
)
def test_a_reference_is_sanitized(query: str, reference: str) -> None:
    form = b"MessageSid=SM1&MessageStatus=sent"
    assert status_of("twilio-status", query, form).reference == reference


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
