"""The content of one of Meta's messages, by its type: text, payload, file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from media_app.digests import digest_hex
from messages_app.providers.events import AttachedMedia
from messages_app.providers.meta_json import (
    Json,
    joined,
    object_in,
    objects_in,
    text_in,
)
from messages_app.providers.text import (
    NAME_LIMIT,
    TYPE_LIMIT,
    place,
    sanitize,
    sanitize_id,
    sanitize_link,
)

# "voice" is what gateways of the older API call a voice note.
MEDIA_TYPES = ("image", "video", "audio", "document", "sticker", "voice")
# What shows of a message without a type which one it is. The first that it carries counts.
CARRIED_TYPES = (
    *MEDIA_TYPES,
    *(
        "text",
        "location",
        "contacts",
        "interactive",
        "button",
        "reaction",
        "order",
        "system",
        "edit",
        "revoke",
    ),
)

# What is known of a file without a type of its own.
WHOLE_TYPES = {
    "image": "image/*",
    "video": "video/*",
    "audio": "audio/*",
    "voice": "audio/*",
    "sticker": "image/webp",
}
# The error of a file that Meta could not fetch from its sender.
MEDIA_FAILED = "131052"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a message says, whatever its type."""

    text: str = ""
    payload: str = ""
    refers_to: str = ""
    media: tuple[AttachedMedia, ...] = ()


def brings_media(value: object) -> bool:
    """Whether there is what looks like a file of a message, at whatever depth."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if part.get("id") and part.get("mime_type"):
                return True
            if any(object_in(part, type).get("id") for type in MEDIA_TYPES):
                return True
            left += part.values()
        elif isinstance(part, list):
            left += part
    return False


def type_of(message: Json) -> str:
    """The type that the message names; where it names none, or brings nothing of that type, the one
    it carries.
    """
    sent = message.get("type")
    named = sent if isinstance(sent, str) else ""
    if named and message.get(named):
        return named
    files = (type for type in MEDIA_TYPES if object_in(message, type).get("id"))
    carried = (
        type
        for type in CARRIED_TYPES
        if isinstance(message.get(type), dict | list) and message[type]
    )
    return next(files, "") or named or next(carried, "unknown")


def content_of(type: str, message: Json) -> Content:
    body = object_in(message, type)
    match type:
        case "text":
            return Content(text=text_in(body, "body"))
        case "location":
            name, address = text_in(body, "name"), text_in(body, "address")
            return Content(
                text=place(
                    name, address, text_in(body, "latitude"), text_in(body, "longitude")
                )
            )
        case "contacts":
            return Content(
                text=joined(
                    ", ",
                    *(_contact_name(contact) for contact in objects_in(message, type)),
                )
            )
        case "reaction":
            return Content(
                text=text_in(body, "emoji"),
                refers_to=sanitize_id(body.get("message_id")),
            )
        case "interactive":
            reply = object_in(body, "button_reply") or object_in(body, "list_reply")
            form = object_in(body, "nfm_reply")
            return Content(
                text=text_in(reply, "title") or text_in(form, "body"),
                payload=text_in(reply, "id"),
            )
        case "button":
            return Content(text=text_in(body, "text"), payload=text_in(body, "payload"))
        case "order":
            items = joined(
                ", ", *(_order_item(item) for item in objects_in(body, "product_items"))
            )
            return Content(text=joined(": ", text_in(body, "text"), items))
        case "system":
            return Content(text=text_in(body, "body"))
        case "edit":
            return _edited(body)
        case "revoke":
            return Content(refers_to=sanitize_id(body.get("original_message_id")))
        case _:
            return Content(
                text=text_in(body, "caption") or text_in(body, "body"),
                media=_media(type, body),
            )


def _edited(edit: Json) -> Content:
    inner = object_in(edit, "message")
    type = type_of(inner)
    # Nobody edits an edit; whoever nests them a thousand deep must not exhaust the stack.
    content = Content()
    if type != "edit":
        content = content_of(type, inner)
    original = sanitize_id(edit.get("original_message_id"))
    return Content(
        text=content.text,
        payload=content.payload,
        refers_to=original,
        media=content.media,
    )


def _media(type: str, body: Json) -> tuple[AttachedMedia, ...]:
    """The file that the object announces: always under a media type, by its fields under one we
    don't know yet.
    """
    id = sanitize_id(body.get("id"))
    if not id or (type not in MEDIA_TYPES and not body.get("mime_type")):
        return ()
    media = AttachedMedia(
        provider_media_id=id,
        content_type=sanitize(body.get("mime_type"), TYPE_LIMIT),
        sha256=digest_hex(sanitize(body.get("sha256"), TYPE_LIMIT)),
        size=_size(body.get("file_size")),
        filename=sanitize(body.get("filename"), NAME_LIMIT),
        url=sanitize_link(body.get("url")),
    )
    return (media,)


def media_not_passed_on(
    type: str, message: Json, errors: str
) -> tuple[AttachedMedia, ...]:
    """The file that the message had, and that Meta says it can't pass on."""
    if type == "edit":
        inner = object_in(object_in(message, "edit"), "message")
    else:
        inner = message
    shown = type_of(inner)
    codes = {text_in(error, "code") for error in objects_in(message, "errors")}
    if not errors or not (shown in MEDIA_TYPES or MEDIA_FAILED in codes):
        return ()
    body = object_in(inner, shown)
    announced = sanitize(body.get("mime_type"), TYPE_LIMIT) or WHOLE_TYPES.get(
        shown, ""
    )
    return (
        AttachedMedia(
            provider_media_id="", content_type=announced, not_passed_on=errors
        ),
    )


def _size(value: object) -> int | None:
    # Meta writes it as a number here and as text there.
    text = sanitize(value, TYPE_LIMIT)
    if re.fullmatch("[0-9]{1,18}", text):
        return int(text)
    return None


def _contact_name(contact: Json) -> str:
    name = object_in(contact, "name")
    return text_in(name, "formatted_name") or joined(
        " ", text_in(name, "first_name"), text_in(name, "last_name")
    )


def _order_item(item: Json) -> str:
    price = joined(" ", text_in(item, "item_price"), text_in(item, "currency"))
    what = joined(
        " × ", text_in(item, "quantity"), text_in(item, "product_retailer_id")
    )
    if price:
        return f"{what} ({price})"
    return what
