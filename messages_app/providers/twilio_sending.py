"""Sending by Twilio's API.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from django.conf import settings
from django.urls import reverse

from media_app.identity import SMS, WHATSAPP, scheme_of
from media_app.outbound import first_accepted, whole_number
from media_app.sources.twilio import credentials
from messages_app.providers.base import Button, OutgoingMessage
from messages_app.providers.http import Answer, ErrorCodes, post
from messages_app.providers.sending import CredentialsRefusedError, RefusedError
from messages_app.providers.text import cut

MAX_TEXT = 1_600
#: What stands around bold words in a text: WhatsApp shows *so*.
BOLD = {WHATSAPP: "*"}
#: The field of a status callback's query that carries our reference.
REFERENCE = "reference"

CODES = ErrorCodes(
    credentials=frozenset({20003}),
    busy=frozenset({20429, 63018}),
    refusals={
        21211: "the customer's address is not one",
        21212: "the business's number is not one that can send",
        21602: "the message has no text",
        21604: "the message is addressed to nobody",
        21609: "PUBLIC_URL is not an address that it can call with a status",
        21610: "the customer has said STOP",
        21617: "the message is too long",
        63003: "it can't deliver to this customer",
        21910: "the business's number is not on the customer's channel",
        63007: "the business's number is not a sender of this account on the customer's channel",
        63016: "the customer's last message is more than 24 hours old",
    },
)


# Why Twilio did not deliver a message that it had accepted. www.twilio.com/docs/api/errors
FAILURES = {
    30003: "the phone is switched off or out of reach",
    30004: "the phone or its network blocks it",
    30005: "the number does not exist",
    30006: "the number is a landline, or its network can't be reached",
    30007: "a network has filtered it out as unwanted",
    30008: "the network does not say why",
    63018: "the number sends more than it may",
    63024: "the recipient is not one that can be written to",
}


def error_text(code: str) -> str:
    """What Twilio's code of an error means, or ""."""
    known = {**CODES.refusals, **FAILURES}
    if re.fullmatch("[0-9]{1,9}", code, re.ASCII):
        return known.get(int(code), "")
    return ""


def send(message: OutgoingMessage) -> str:
    """Send once, with the first credentials that are accepted. Returns Twilio's id of the message.
    Raises SendError subclasses.
    """
    _require_own(message.account)
    account_sid = quote(message.account, safe="")
    url = f"{settings.TWILIO_API_URL}/2010-04-01/Accounts/{account_sid}/Messages.json"
    body = urlencode(_form(message)).encode()

    def send_with(authorization: str) -> str:
        headers = {
            "Authorization": authorization,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return _id(post(url, headers=headers, body=body))

    nothing_set = CredentialsRefusedError(
        "Neither TWILIO_AUTH_TOKEN nor TWILIO_API_KEY with TWILIO_API_SECRET is set."
    )
    return first_accepted(credentials(), send_with, nothing_set)


def _require_own(account: str) -> None:
    if not settings.TWILIO_ACCOUNT_SID:
        raise CredentialsRefusedError("TWILIO_ACCOUNT_SID is not set.")
    if account != settings.TWILIO_ACCOUNT_SID:
        raise RefusedError(
            f"The message belongs to the Twilio account AC…{account[-4:]}; TWILIO_ACCOUNT_SID "
            "is another one."
        )


def _id(answer: Answer) -> str:
    sid = answer.data.get("sid")
    if answer.succeeded and isinstance(sid, str) and sid:
        return sid
    raise answer.error("Twilio", whole_number(answer.data.get("code")), CODES)


def _form(message: OutgoingMessage) -> dict[str, str]:
    # The customer is answered on the channel that they wrote by.
    channel = scheme_of(message.to)
    callback = f"{settings.PUBLIC_URL}{reverse('webhook-twilio-status')}"
    return {
        "From": _address(channel, message.business),
        "To": _address(channel, message.to.removeprefix(f"{channel}:")),
        "Body": _text(message.text, message.buttons, bold=BOLD.get(channel, "")),
        # Twilio stores no reference with a message, but calls the address that it is given.
        "StatusCallback": f"{callback}?{urlencode({REFERENCE: message.reference})}",
    }


def _address(channel: str, address: str) -> str:
    """As Twilio writes it: the channel first, but for SMS."""
    if channel == SMS:
        return address
    return f"{channel}:{address}"


def _text(text: str, buttons: Sequence[Button], *, bold: str) -> str:
    """The text, and what the buttons would offer: Twilio has buttons in approved templates only.

    ``bold`` stands around bold words.
    """
    if not buttons:
        return cut(text, MAX_TEXT)
    # Typed, a button's title counts as its press.
    choice = f"\n\nAnswer {' or '.join(f'{bold}{button.title}{bold}' for button in buttons)}."
    return cut(text, MAX_TEXT - len(choice)) + choice
