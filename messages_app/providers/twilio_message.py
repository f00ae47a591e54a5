"""One message of Twilio's, read from its form.

https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from media_app.identity import SCHEMES, SMS, WHATSAPP, occurred_at, scheme_of
from messages_app.providers.base import RawDelivery
from messages_app.providers.events import (
    AttachedMedia,
    Event,
    MessageReceived,
    Origin,
    Unreadable,
)
from messages_app.providers.owners import owners_among
from messages_app.providers.text import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TYPE_LIMIT,
    place,
    sanitize,
    sanitize_id,
    sanitize_link,
)
from messages_app.providers.twilio_form import Form, first_of, raw_form

MAX_MEDIA = 10
#: The endpoint of deliveries that were made from Twilio's list of messages (``twilio_list``). No
#: webhook has it.
LISTED = "twilio-listed"
# Twilio keeps messages for 400 days.
OLDEST_LISTED = timedelta(days=400)

# Twilio's MessageType, where it is not Meta's name already.
KINDS = {"voice": "audio", "contact": "contacts", "vcard": "contacts"}
META_KINDS = frozenset(
    {
        "text",
        "image",
        "video",
        "audio",
        "document",
        "sticker",
        "location",
        "contacts",
        "reaction",
    }
    | {"interactive", "button", "order", "system", "unsupported"}
)
_MEDIA_PATH = re.compile(
    r".*/Accounts/AC[0-9A-Za-z]+/Messages/[0-9A-Za-z]+/Media/(?P<sid>ME[0-9A-Za-z]+)"
)


def read_message(form: Form, id: str, delivery: RawDelivery) -> Iterator[Event]:
    urls = [first_of(form, f"MediaUrl{index}") for index in range(MAX_MEDIA)]
    channel = channel_of(form)
    sent_at, is_assumed = _sent_at(form, delivery)
    origin: Origin = "live"
    if delivery.endpoint == LISTED:
        origin = "listed"
    # The other two name people on WhatsApp alone.
    names = ["From"]
    if channel == WHATSAPP:
        names += ["ExternalUserId", "WaId"]
    yield MessageReceived(
        account=sanitize_id(first_of(form, "AccountSid")),
        provider_message_id=id,
        kind=_kind(form),
        occurred_at=sent_at,
        time_assumed=is_assumed,
        origin=origin,
        owners=owners_among(*(first_of(form, name) for name in names), scheme=channel),
        name=sanitize(first_of(form, "ProfileName"), NAME_LIMIT),
        business=sanitize(first_of(form, "To").removeprefix(f"{channel}:"), TYPE_LIMIT),
        text=sanitize(
            first_of(form, "Body", "ButtonText", "ListTitle") or _place(form),
            TEXT_LIMIT,
        ),
        payload=sanitize(first_of(form, "ButtonPayload", "ListId"), TEXT_LIMIT),
        refers_to=sanitize_id(first_of(form, "OriginalRepliedMessageSid")),
        media=tuple(
            _media(form, index, url)
            for index, url in enumerate(urls)
            if sanitize_link(url)
        ),
        raw=raw_form(form),
    )
    for index, url in enumerate(urls):
        if not sanitize_link(url) and (url or index < announced_files(form)):
            yield Unreadable(
                path=f"MediaUrl{index}",
                error="a file is announced without its link",
                payload=raw_form(form),
            )


def _sent_at(form: Form, delivery: RawDelivery) -> tuple[datetime, bool]:
    """When it was sent, and whether that had to be assumed: the form of a webhook has no time."""
    received_at = delivery.received_at
    if delivery.endpoint != LISTED:
        return received_at, True
    try:
        seconds = int(datetime.fromisoformat(first_of(form, "DateSent")).timestamp())
    except (ValueError, OverflowError):
        return received_at, True
    return occurred_at(seconds, received_at, OLDEST_LISTED)


def channel_of(form: Form) -> str:
    """The scheme of the sender's owner. The addresses of SMS and MMS name no channel."""
    sender, business = first_of(form, "From"), first_of(form, "To")
    named = scheme_of(sender) or scheme_of(business)
    if named in SCHEMES:
        return named
    if sender and not named:
        return SMS
    return WHATSAPP


def _kind(form: Form) -> str:
    sent = first_of(form, "MessageType").lower()
    kind = KINDS.get(sent, sent)
    if kind in META_KINDS:
        return kind
    if announced_files(form) or first_of(form, "MediaUrl0"):
        family = first_of(form, "MediaContentType0").partition("/")[0].lower()
        if family in {"image", "video", "audio"}:
            return family
        return "document"
    if first_of(form, "Latitude"):
        return "location"
    if first_of(form, "ButtonText", "ButtonPayload"):
        return "button"
    if first_of(form, "ListTitle", "ListId"):
        return "interactive"
    return "text"


def announced_files(form: Form) -> int:
    """How many files the form says there are."""
    text = first_of(form, "NumMedia")
    if re.fullmatch("[0-9]{1,4}", text):
        return int(text)
    return 0


def _media(form: Form, index: int, url: str) -> AttachedMedia:
    path = url.partition("#")[0].partition("?")[0]
    match = _MEDIA_PATH.fullmatch(path)
    return AttachedMedia(
        provider_media_id=match["sid"] if match else "",
        content_type=sanitize(first_of(form, f"MediaContentType{index}"), TYPE_LIMIT),
        url=url,
    )


def _place(form: Form) -> str:
    return place(
        *(
            first_of(form, name)
            for name in ("Label", "Address", "Latitude", "Longitude")
        )
    )
