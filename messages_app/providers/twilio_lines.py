"""What one of Twilio's forms contains beside its text, for staff. A field that is not known here is
shown by its own name.

Fields: https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from messages_app.providers.lines import (
    Line,
    answers,
    label_of,
    line,
    other_lines,
    words,
)

# Shown elsewhere on the page, or only of use to machines.
_BESIDE = re.compile(
    "MessageSid|SmsMessageSid|SmsSid|AccountSid|MessagingServiceSid|From|To|Body|"
    "NumMedia|NumSegments|Media(Url|ContentType|Sid)[0-9]+|SmsStatus|MessageStatus|"
    "ApiVersion|ProfileName|WaId|ExternalUserId|DateSent|"
    "MessageType|ButtonText|ButtonPayload|ListId|ListTitle|Latitude|Longitude|Address|Label|"
    "OriginalRepliedMessageSid|OriginalRepliedMessageSender|ChannelMetadata|"
    "To(City|State|Zip|Country)|"
    "FromZip|AddOns|OptOutType|ReferralMedia(Id|ContentType)|ReferralNumMedia|ReferralCtwaClid"
)
_AD = {
    "ReferralHeadline": "Ad headline",
    "ReferralBody": "Ad text",
    "ReferralSourceUrl": "Ad link",
    "ReferralMediaUrl": "Ad picture",
    "ReferralSourceId": "Ad id",
}
_FORWARDED = ("Forwarded", "FrequentlyForwarded")
_PLACE = ("FromCity", "FromState", "FromCountry")
_ERROR = ("ErrorCode", "ErrorMessage")
_FORMS = ("InteractiveData", "FlowData")
_SOURCES = {"ad": "an ad", "post": "a post"}
_READ = {
    *_AD,
    *_FORWARDED,
    *_PLACE,
    *_ERROR,
    *_FORMS,
    "ReferralSourceType",
    "ListDescription",
}


def twilio_lines(form: Mapping[str, Any]) -> Iterator[Line]:
    """Its content first, then where it comes from, then what is wrong with it."""
    yield line("Description", form.get("ListDescription"))
    for name in _FORMS:
        if name in form:
            yield from answers(form[name])
    for name, value in form.items():
        if name not in _READ and not _BESIDE.fullmatch(name):
            yield from other_lines(value, label_of(name))
    if form.get("FrequentlyForwarded") == "true":
        yield Line("Forwarded", "many times")
    elif form.get("Forwarded") == "true":
        yield Line("Forwarded", "yes")
    source = words(form.get("ReferralSourceType"))
    yield Line("Came from", _SOURCES.get(source, source))
    for name, label in _AD.items():
        yield line(label, form.get(name))
    yield Line(
        "Number from",
        ", ".join(part for part in map(words, map(form.get, _PLACE)) if part),
    )
    yield Line(
        "Problem", ": ".join(part for part in map(words, map(form.get, _ERROR)) if part)
    )
