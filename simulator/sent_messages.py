"""What the vendors refuse in a message that a business sends. Pure.

Sources:
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages
www.twilio.com/docs/messaging/api/message-resource, www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_HIDDEN = r"[A-Z]{2}\.(?:ENT\.)?[0-9A-Za-z]{1,128}"
_NUMBER = r"[1-9][0-9]{6,14}"


# What stands before an address, and what customers' addresses look like on that channel.
_CUSTOMERS = {
    "whatsapp:": rf"whatsapp:(?:\+{_NUMBER}|{_HIDDEN})",
    "rcs:": rf"rcs:\+{_NUMBER}",
    "messenger:": r"messenger:[0-9]{1,32}",
    "": rf"\+{_NUMBER}|[0-9]{{3,6}}",
}


def meta_fault(body: Mapping[str, Any]) -> str:
    """What Meta finds wrong (its code 100), or "". Texts and reply buttons are all that is known
    here.
    """
    to, recipient = body.get("to"), body.get("recipient")
    if not to and not recipient:
        return "The parameter to or recipient is required."
    if to and not _is(rf"\+?{_NUMBER}", to):
        return "Param to is not a valid WhatsApp number"
    if not to and not _is(_HIDDEN, recipient):
        return "Param recipient is not a valid business-scoped user id"
    if not _is_text(body.get("biz_opaque_callback_data", "-"), 512):
        return (
            "Param biz_opaque_callback_data must be a string with 1 to 512 characters"
        )
    match body.get("type", "text"):
        case "text":
            return (
                ""
                if _is_text(_at(body, "text", "body"), 4_096)
                else _length("text['body']", 4_096)
            )
        case "interactive" if _at(body, "interactive", "type") == "button":
            return _buttons_fault(body["interactive"])
    return "Param type must be one of {text, interactive}, an interactive's one of {button}"


def _buttons_fault(interactive: Mapping[str, Any]) -> str:
    if not _is_text(_at(interactive, "body", "text"), 1_024):
        return _length("interactive['body']['text']", 1_024)
    buttons = _at(interactive, "action", "buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        return "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"
    for name, limit in (("id", 256), ("title", 20)):
        values = [
            _at(button, "reply", name) if _at(button, "type") == "reply" else None
            for button in buttons
        ]
        if not all(_is_text(value, limit) for value in values):
            return _length(f"buttons['reply']['{name}']", limit)
        if len(set(values)) < len(values):
            return f"Duplicated {name} in buttons"
    return ""


def twilio_fault(form: Mapping[str, str], number: str) -> tuple[int, str] | None:
    """What Twilio finds wrong: code and words. ``number``: the account's only sender, on every
    channel.
    """
    sender, to, text = form.get("From", ""), form.get("To", ""), form.get("Body", "")
    if not to:
        return 21604, "A 'To' phone number is required."
    channel = _channel(to)
    if not _is(_CUSTOMERS[channel], to):
        return 21211, f"Invalid 'To' Phone Number: {to}"
    if not sender:
        return 21603, "A 'From' phone number is required."
    if _channel(sender) != channel:
        return (
            21910,
            "Invalid From and To pair. From and To should be of the same channel",
        )
    if not _is(rf"{channel}\+{_NUMBER}", sender):
        return 21212, f"Invalid From Number: {sender}"
    if sender != f"{channel}{number}":
        return 63007, "Twilio could not find a Channel with the specified From address"
    if not text:
        return 21602, "Message body is required."
    if len(text) > 1_600:
        return 21617, "The concatenated message body exceeds the 1600 character limit"
    callback = urlsplit(form.get("StatusCallback", "https://example.com/"))
    if callback.scheme not in {"http", "https"} or not callback.hostname:
        return 21609, "The 'StatusCallback' URL is not a valid URL."
    return None


def _channel(address: str) -> str:
    return next((scheme for scheme in _CUSTOMERS if address.startswith(scheme)), "")


def _is(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _is_text(value: object, limit: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= limit


def _at(value: object, *names: str) -> Any:
    """The value under these names, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _length(parameter: str, limit: int) -> str:
    return f"Param {parameter} must be a string with 1 to {limit} characters"
