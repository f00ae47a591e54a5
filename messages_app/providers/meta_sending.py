"""Sending by Meta's Cloud API.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from django.conf import settings

from media_app.identity import WHATSAPP
from media_app.outbound import first_accepted, whole_number
from messages_app.providers.base import OutgoingMessage
from messages_app.providers.http import Answer, ErrorCodes, post
from messages_app.providers.owners import is_number
from messages_app.providers.sending import CredentialsRefusedError
from messages_app.providers.text import cut

MAX_TEXT = 4_096
MAX_TEXT_WITH_BUTTONS = 1_024

CODES = ErrorCodes(
    credentials=frozenset({0, 190}),
    busy=frozenset({4, 80007, 130429, 131048, 131056, 133016})
    # Meta is not available: "temporary", "unknown error", "in maintenance".
    | {1, 2, 131000, 131016, 131057},
    refusals={
        3: "the app may not do this",
        10: "the app lacks the permission to send",
        33: "the business's number is not there any more",
        100: "it finds something in the message that it can't take",
        368: "the business's account is blocked for breaking a policy",
        130472: "the customer is in an experiment of Meta's",
        131009: "it finds something in the message that it can't take",
        131026: "it can't deliver to this customer",
        131031: "the business's account is locked",
        131042: "the business's account has a payment to settle",
        131047: "the customer's last message is more than 24 hours old",
        131062: "it can't send to a customer who hides the number from this account",
    },
)


def send(message: OutgoingMessage) -> str:
    """Send once, with the first token that is accepted. Returns Meta's id of the message. Raises
    SendError subclasses.
    """
    number_id = quote(message.account, safe="")
    api = f"{settings.META_GRAPH_URL}/{settings.META_GRAPH_VERSION}"
    url = f"{api}/{number_id}/messages"
    body = json.dumps(_body(message)).encode()

    def send_with(token: str) -> str:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        return _id(post(url, headers=headers, body=body))

    nothing_set = CredentialsRefusedError("META_ACCESS_TOKEN is not set.")
    return first_accepted(settings.META_ACCESS_TOKEN, send_with, nothing_set)


def _id(answer: Answer) -> str:
    match answer.data:
        case {"messages": [{"id": str(id)}, *_]} if id and answer.succeeded:
            return id
        case {"error": {"code": code}}:
            raise answer.error("Meta", whole_number(code), CODES)
    raise answer.error("Meta", None, CODES)


def _body(message: OutgoingMessage) -> Mapping[str, Any]:
    address = message.to.removeprefix(f"{WHATSAPP}:")
    # A hidden id has a field of its own.
    recipient = {"recipient": address}
    if is_number(message.to):
        recipient = {"to": address.removeprefix("+")}
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **recipient,
        **_content(message),
        "biz_opaque_callback_data": message.reference,
    }


def _content(message: OutgoingMessage) -> Mapping[str, Any]:
    if not message.buttons:
        # For a preview Meta would open the link, and our links are not for Meta.
        return {
            "type": "text",
            "text": {"body": cut(message.text, MAX_TEXT), "preview_url": False},
        }
    buttons = [
        {"type": "reply", "reply": {"id": button.id, "title": button.title}}
        for button in message.buttons
    ]
    body = {"text": cut(message.text, MAX_TEXT_WITH_BUTTONS)}
    return {
        "type": "interactive",
        "interactive": {"type": "button", "body": body, "action": {"buttons": buttons}},
    }
