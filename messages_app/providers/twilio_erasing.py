"""Removing one person from Twilio's deliveries and from Twilio itself.

https://www.twilio.com/docs/messaging/api/media-resource#delete-a-media-resource
https://www.twilio.com/docs/messaging/api/message-resource#delete-a-message-resource
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

from django.conf import settings

from media_app.outbound import first_accepted, whole_number
from media_app.sources.twilio import credentials
from messages_app.providers.base import Erased
from messages_app.providers.http import Answer, delete
from messages_app.providers.owners import owners_among
from messages_app.providers.sending import CredentialsRefusedError, RefusedError
from messages_app.providers.text import sanitize_id
from messages_app.providers.twilio_form import first_of, form_fields, text_of
from messages_app.providers.twilio_message import channel_of
from messages_app.providers.twilio_sending import CODES

# What names a customer in a form.
_ADDRESSES = ("From", "To", "WaId", "ExternalUserId")


def without(body: bytes, erased: Erased) -> bytes:
    """As the contract says. A form is one message of one person, or a status of one."""
    fields = form_fields(body)
    if fields is None:
        return b""
    form: dict[str, list[str]] = {}
    for name, value in fields:
        form.setdefault(text_of(name), []).append(text_of(value))
    named = owners_among(
        *(first_of(form, name) for name in _ADDRESSES), scheme=channel_of(form)
    )
    id = sanitize_id(first_of(form, "MessageSid", "SmsMessageSid", "SmsSid"))
    if erased.owners.isdisjoint(named) and id not in erased.message_ids:
        return body
    return b""


def delete_copies(
    account: str, message_id: str, media_ids: Sequence[str]
) -> Counter[str]:
    """As the contract says. The files first: they belong to the message."""
    if account != settings.TWILIO_ACCOUNT_SID:
        return Counter(kept=1 + len(media_ids))
    api = f"{settings.TWILIO_API_URL}/2010-04-01/Accounts/{quote(account, safe='')}"
    message = f"{api}/Messages/{quote(message_id, safe='')}"
    files = [f"{message}/Media/{quote(id, safe='')}.json" for id in media_ids]
    nothing_set = CredentialsRefusedError("TWILIO_AUTH_TOKEN is not set.")
    counts: Counter[str] = Counter()
    for url in (*files, f"{message}.json"):

        def delete_with(authorization: str, url: str = url) -> str:
            return _outcome(delete(url, {"Authorization": authorization}))

        counts[first_accepted(credentials(), delete_with, nothing_set)] += 1
    return counts


def _outcome(answer: Answer) -> str:
    if answer.succeeded:
        return "deleted"
    if answer.status in {404, 410}:
        return "gone"
    refusal = answer.error("Twilio", whole_number(answer.data.get("code")), CODES)
    if isinstance(refusal, RefusedError):
        return "kept"
    raise refusal
