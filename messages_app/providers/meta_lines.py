"""What one message of Meta's contains beside its text, for staff. A field that is not known here is
shown by its own name.

Fields:
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from collections.abc import Iterator

from messages_app.providers.lines import (
    Line,
    answers,
    label_of,
    line,
    moment,
    other_lines,
    words,
)
from messages_app.providers.meta_card_lines import contact_lines, order_lines
from messages_app.providers.meta_content import MEDIA_TYPES
from messages_app.providers.meta_json import Json, error_text, object_in

# Shown elsewhere on the page, or only of use to machines.
_BESIDE = frozenset(
    {
        "from",
        "from_user_id",
        "from_parent_user_id",
        "to",
        "to_user_id",
        "id",
        "timestamp",
        "type",
        "group_id",
    }
    | {"recipient_type", "message_creation_type"}
)
_FILE = (
    "id",
    "mime_type",
    "sha256",
    "url",
    "caption",
    "body",
    "filename",
    "file_size",
    "voice",
    "animated",
)
_AD = {
    "headline": "Ad headline",
    "body": "Ad text",
    "source_url": "Ad link",
    "image_url": "Ad picture",
    "video_url": "Ad video",
    "source_id": "Ad id",
}
_AD_MACHINES = ("source_type", "media_type", "thumbnail_url", "ctwa_clid")
_SOURCES = {"ad": "an ad", "post": "a post"}
_CHANGES = {
    "user_changed_number": "the customer has a new number",
    "customer_changed_number": "the customer has a new number",
    "user_changed_user_id": "the customer has a new hidden id",
    "customer_identity_changed": "the customer uses a new phone or installed WhatsApp again",
}


def meta_lines(message: Json) -> Iterator[Line]:
    """Its content first, then where it comes from, then what is wrong with it."""
    if message.get("type") == "request_welcome":
        yield Line("What happened", "the customer opened the chat for the first time")
    for name, part in message.items():
        if name in _BESIDE or name in _LAST:
            continue
        yield from _content(name, part)
    for name in _LAST:
        if name in message:
            yield from _content(name, message[name])


def _content(name: str, part: object) -> Iterator[Line]:
    match name, part:
        case "contacts", list():
            for contact in part:
                if isinstance(contact, dict):
                    yield from contact_lines(contact)
                else:
                    yield from other_lines(contact, "Contact")
        case "errors", list():
            yield Line("Problem", error_text(part))
        case _, dict() if name in MEDIA_TYPES:
            yield from _file(part)
        case _, dict() if name in _READERS:
            yield from _READERS[name](part)
        case _:
            yield from other_lines(part, label_of(name))


def _file(body: Json) -> Iterator[Line]:
    if body.get("voice") is True:
        yield Line("Sound", "voice note")
    if body.get("animated") is True:
        yield Line("Sticker", "animated")
    yield from other_lines(body, known=_FILE)


def _text(body: Json) -> Iterator[Line]:
    yield from other_lines(body, known=("body",))


def _location(body: Json) -> Iterator[Line]:
    yield line("Link", body.get("url"))
    yield from other_lines(
        body, known=("name", "address", "latitude", "longitude", "url")
    )


def _reaction(body: Json) -> Iterator[Line]:
    yield from other_lines(body, known=("message_id", "emoji"))


def _button(body: Json) -> Iterator[Line]:
    yield from other_lines(body, known=("text", "payload"))


def _interactive(body: Json) -> Iterator[Line]:
    for name, part in body.items():
        match name, part:
            case "type", _:
                continue
            case "button_reply" | "list_reply", dict():
                yield line("Description", part.get("description"))
                yield from other_lines(part, known=("id", "title", "description"))
            case "nfm_reply", dict():
                yield from _form(part)
            case "call_permission_reply", dict():
                yield Line("Calls", _call_permission(part))
            case _:
                yield from other_lines(
                    part, label_of(name) if isinstance(part, dict) else "Interactive"
                )


def _form(form: Json) -> Iterator[Line]:
    name = words(form.get("name"))
    if name != "flow":
        yield Line("Form", label_of(name))
    yield from answers(form.get("response_json"))
    yield from other_lines(form, known=("name", "body", "response_json"))


def _call_permission(reply: Json) -> str:
    if reply.get("response") != "accept":
        return "the customer may not be called"
    if reply.get("is_permanent") is True:
        until = ""
    else:
        until = moment(reply.get("expiration_timestamp"))
    if until:
        return f"the customer may be called, until {until}"
    return "the customer may be called"


def _system(body: Json) -> Iterator[Line]:
    yield Line("What happened", _CHANGES.get(words(body.get("type")), ""))
    yield line("New number", body.get("new_wa_id") or body.get("wa_id"))
    known = ("body", "type", "wa_id", "new_wa_id", "identity", "customer")
    yield from other_lines(body, known=known)


def _unsupported(body: Json) -> Iterator[Line]:
    yield Line("Not passed on", label_of(words(body.get("type"))).lower())
    yield from other_lines(body, known=("type",))


def _edit(body: Json) -> Iterator[Line]:
    # Nobody edits an edit.
    inner = {
        name: part
        for name, part in object_in(body, "message").items()
        if name != "edit"
    }
    yield from meta_lines(inner)


def _revoke(body: Json) -> Iterator[Line]:
    yield from other_lines(body, known=("original_message_id",))


def _context(context: Json) -> Iterator[Line]:
    if context.get("frequently_forwarded") is True:
        yield Line("Forwarded", "many times")
    elif context.get("forwarded") is True:
        yield Line("Forwarded", "yes")
    product = object_in(context, "referred_product")
    catalogue = words(product.get("catalog_id"))
    name = words(product.get("product_retailer_id"))
    about = name or catalogue
    if name and catalogue:
        about = f"{name} (catalogue {catalogue})"
    yield Line("About product", about)
    known = (
        "from",
        "id",
        "forwarded",
        "frequently_forwarded",
        "referred_product",
        "from_user_id",
        "group_id",
    )
    yield from other_lines(context, known=known)


def _referral(referral: Json) -> Iterator[Line]:
    source = words(referral.get("source_type"))
    yield Line("Came from", _SOURCES.get(source, source) or "an ad")
    for name, label in _AD.items():
        yield line(label, referral.get(name))
    yield from other_lines(referral, "Ad", known=(*_AD, *_AD_MACHINES))


def _history(context: Json) -> Iterator[Line]:
    yield Line("Status then", words(context.get("status")).lower())


_READERS = {
    "text": _text,
    "location": _location,
    "reaction": _reaction,
    "button": _button,
    "interactive": _interactive,
    "order": order_lines,
    "system": _system,
    "unsupported": _unsupported,
    "edit": _edit,
    "revoke": _revoke,
    "context": _context,
    "referral": _referral,
    "history_context": _history,
}
_LAST = ("context", "referral", "history_context", "errors")
