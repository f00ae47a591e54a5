"""What a message says beside its text, as staff read it: one labelled line for each thing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from messages_app.providers import provider
from messages_app.providers.lines import MAX_LINES, Line


def flow(answers: object) -> dict[str, Any]:
    reply = {"name": "flow", "body": "Sent", "response_json": answers}
    return {
        "type": "interactive",
        "interactive": {"type": "nfm_reply", "nfm_reply": reply},
    }


META: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "plain words say nothing more": (
        {
            "from": "1433",
            "id": "wamid.1",
            "timestamp": "1",
            "type": "text",
            "text": {"body": "hi"},
        },
        [],
    ),
    "a flow's answers": (
        flow(
            '{"flow_token": "t", "screen_0_First_name_0": "Ana", "rooms": ["2", "3"], "pets": '
            'true, "none": null}'
        ),
        [("First name", "Ana"), ("Rooms", "2, 3"), ("Pets", "yes")],
    ),
    "an address": (
        {
            "interactive": {
                "type": "nfm_reply",
                "nfm_reply": {
                    "name": "address_message",
                    "response_json": '{"values": {"pin_code": "080"}}',
                },
            }
        },
        [("Form", "Address message"), ("Values › Pin code", "080")],
    ),
    "a flow's answers that are no JSON": (flow("{broken"), [("Answers", "{broken")]),
    "a flow's answers nested a thousand deep": (
        flow("[" * 5_000),
        [("Answers", "[" * 2_000 + "…")],
    ),
    "half an emoji in an answer": (flow('{"name": "A\\ud83d"}'), [("Name", "A\ufffd")]),
    "a contact": (
        {
            "contacts": [
                {
                    "name": {"formatted_name": "Bo Li", "first_name": "Bo"},
                    "phones": [
                        {"phone": "+1 433", "type": "CELL", "wa_id": "1433"},
                        {"phone": "+1 434"},
                    ],
                    "emails": [{"email": "bo@example.org", "type": "WORK"}],
                    "org": {"company": "Harbour Ltd", "title": "Cook"},
                    "addresses": [
                        {
                            "street": "1 Quay",
                            "city": "Cork",
                            "country": "Ireland",
                            "type": "HOME",
                        }
                    ],
                    "urls": [{"url": "https://example.org", "type": "WORK"}],
                    "birthday": "1990-01-02",
                }
            ]
        },
        [
            ("Contact", "Bo Li"),
            ("Phone (cell)", "+1 433, on WhatsApp"),
            ("Phone", "+1 434"),
            ("E-mail (work)", "bo@example.org"),
            ("Organisation", "Cook, Harbour Ltd"),
            ("Address (home)", "1 Quay, Cork, Ireland"),
            ("Website (work)", "https://example.org"),
            ("Birthday", "1990-01-02"),
        ],
    ),
    "a row of a list": (
        {
            "interactive": {
                "type": "list_reply",
                "list_reply": {"id": "r1", "title": "Tue", "description": "9 to 5"},
            }
        },
        [("Description", "9 to 5")],
    ),
    "an ad": (
        {
            "referral": {
                "source_url": "https://fb.me/x",
                "source_id": "77",
                "source_type": "ad",
                "headline": "Sell your car",
                "body": "In a day",
                "media_type": "image",
                "image_url": "https://scontent.example/1.jpg",
                "ctwa_clid": "AfX",
            }
        },
        [
            ("Came from", "an ad"),
            ("Ad headline", "Sell your car"),
            ("Ad text", "In a day"),
            ("Ad link", "https://fb.me/x"),
            ("Ad picture", "https://scontent.example/1.jpg"),
            ("Ad id", "77"),
        ],
    ),
    "forwarded": ({"context": {"forwarded": True}}, [("Forwarded", "yes")]),
    "forwarded often": (
        {"context": {"forwarded": True, "frequently_forwarded": True}},
        [("Forwarded", "many times")],
    ),
    "a question about a product": (
        {
            "context": {
                "id": "wamid.2",
                "referred_product": {
                    "catalog_id": "5",
                    "product_retailer_id": "SOFA-1",
                },
            }
        },
        [("About product", "SOFA-1 (catalogue 5)")],
    ),
    "a call may be made": (
        {
            "interactive": {
                "type": "call_permission_reply",
                "call_permission_reply": {
                    "response": "accept",
                    "is_permanent": False,
                    "expiration_timestamp": 1795175990,
                    "response_source": "user_action",
                },
            }
        },
        [("Calls", "the customer may be called, until 2026-11-20 11:59 UTC")],
    ),
    "no call may be made": (
        {
            "interactive": {
                "type": "call_permission_reply",
                "call_permission_reply": {"response": "reject"},
            }
        },
        [("Calls", "the customer may not be called")],
    ),
    "a payment": (
        {
            "type": "payment",
            "payment": {
                "reference_id": "A7",
                "amount": {"value": 12550, "offset": 100},
                "currency": "INR",
                "created_timestamp": 1795175990,
            },
        },
        [
            ("Payment › Reference id", "A7"),
            ("Payment › Amount", "125.50"),
            ("Payment › Currency", "INR"),
            ("Payment › Created timestamp", "2026-11-20 11:59 UTC"),
        ],
    ),
    "an order": (
        {
            "order": {
                "catalog_id": "5",
                "text": "please",
                "product_items": [
                    {
                        "product_retailer_id": "SOFA-1",
                        "quantity": 2,
                        "item_price": 99.5,
                        "currency": "EUR",
                    },
                    {
                        "product_retailer_id": "LAMP",
                        "quantity": "1",
                        "item_price": "10",
                        "currency": "EUR",
                    },
                ],
            }
        },
        [
            ("Item", "2 × SOFA-1, 99.5 EUR each"),
            ("Item", "1 × LAMP, 10 EUR each"),
            ("Total", "209.00 EUR"),
            ("Catalogue", "5"),
        ],
    ),
    "an order whose price is no price": (
        {
            "order": {
                "product_items": [
                    {
                        "product_retailer_id": "X",
                        "quantity": 1,
                        "item_price": "1e999999",
                    }
                ]
            }
        },
        [("Item", "1 × X, 1e999999 each")],
    ),
    "a voice note": (
        {"audio": {"id": "1", "mime_type": "audio/ogg", "voice": True}},
        [("Sound", "voice note")],
    ),
    "a place": (
        {"location": {"latitude": 1, "url": "https://example.org"}},
        [("Link", "https://example.org")],
    ),
    "an error beside content": (
        {
            "image": {"caption": "roof"},
            "errors": [{"code": 131052, "title": "Media download error"}],
        },
        [("Problem", "131052: Media download error")],
    ),
    "a type that WhatsApp does not pass on": (
        {"type": "unsupported", "unsupported": {"type": "poll"}},
        [("Not passed on", "poll")],
    ),
    "an edit says what its message says": (
        {
            "edit": {
                "original_message_id": "wamid.1",
                "message": {"type": "text", "context": {"forwarded": True}},
            }
        },
        [("Forwarded", "yes")],
    ),
    "what is unknown": (
        {
            "type": "poll",
            "poll": {
                "question": "Tea?",
                "options": [{"name": "yes", "votes": 2}, {"name": "no"}],
            },
        },
        [
            ("Poll › Question", "Tea?"),
            ("Poll › Options 1 › Name", "yes"),
            ("Poll › Options 1 › Votes", "2"),
            ("Poll › Options 2 › Name", "no"),
        ],
    ),
    "parts of wrong types": (
        {
            "contacts": "x",
            "interactive": [1],
            "order": 5,
            "referral": None,
            "context": {"referred_product": 7},
        },
        [("Contacts", "x"), ("Interactive", "1"), ("Order", "5")],
    ),
}

TWILIO: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "plain words say nothing more": (
        {
            "MessageSid": "SM1",
            "From": "whatsapp:+1",
            "To": "whatsapp:+2",
            "Body": "hi",
            "NumMedia": "0",
        },
        [],
    ),
    "forwarded": (
        {"Forwarded": "true", "FrequentlyForwarded": "false"},
        [("Forwarded", "yes")],
    ),
    "forwarded often": (
        {"Forwarded": "true", "FrequentlyForwarded": "true"},
        [("Forwarded", "many times")],
    ),
    "an ad": (
        {
            "ReferralHeadline": "Sell your car",
            "ReferralBody": "In a day",
            "ReferralSourceType": "ad",
            "ReferralSourceUrl": "https://fb.me/x",
            "ReferralCtwaClid": "AfX",
        },
        [
            ("Came from", "an ad"),
            ("Ad headline", "Sell your car"),
            ("Ad text", "In a day"),
            ("Ad link", "https://fb.me/x"),
        ],
    ),
    "a flow's answers": (
        {"InteractiveData": json.dumps({"flow_token": "t", "city": "Cork"})},
        [("City", "Cork")],
    ),
    "where a number is from": (
        {"FromCity": "NEW YORK", "FromState": "NY", "FromCountry": "US", "ToCity": "X"},
        [("Number from", "NEW YORK, NY, US")],
    ),
    "an error": (
        {"ErrorCode": "63019", "ErrorMessage": "failed"},
        [("Problem", "63019: failed")],
    ),
    "what is unknown": ({"SomeNewField": ["a", "b"]}, [("Some new field", "a, b")]),
}


@pytest.mark.parametrize("case", META)
def test_metas_messages_in_words(case: str) -> None:
    raw, lines = META[case]
    assert provider("meta").lines(raw) == [Line(*line) for line in lines]


@pytest.mark.parametrize("case", TWILIO)
def test_twilios_messages_in_words(case: str) -> None:
    raw, lines = TWILIO[case]
    assert provider("twilio").lines(raw) == [Line(*line) for line in lines]


def test_endless_lines_end_with_how_many_are_left_out() -> None:
    lines = provider("meta").lines(
        {"poll": {f"option_{number}": number for number in range(1_000)}}
    )
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == Line(
        "More", "800 more lines are in the message as the provider sent it"
    )
