"""Removing one person from Meta's deliveries and from Meta itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.conf import settings

from media_app.outbound import first_accepted, whole_number
from messages_app.providers import lenient_json
from messages_app.providers.base import Erased
from messages_app.providers.http import Answer, ErrorCodes, delete
from messages_app.providers.owners import owners_among
from messages_app.providers.sending import CredentialsRefusedError, RefusedError
from messages_app.providers.text import sanitize_id

# Lists whose parts are one person's each. What such a part of another person says stays as it is:
# they may have sent a card of the person, or written the number.
_LISTS = frozenset(
    {
        "messages",
        "message_echoes",
        "statuses",
        "contacts",
        "state_sync",
        "user_id_update",
    }
)
# What names a person in such a part.
_ADDRESSES = (
    "from",
    "from_user_id",
    "to",
    "to_user_id",
    "wa_id",
    "user_id",
    "phone_number",
    "recipient_id",
    "recipient_user_id",
    "recipient_participant_id",
    "recipient_participant_user_id",
    "previous",
    "current",
)
# The objects in which such a name may stand, of a part that has none itself.
_NAMING = ("contact", "user_id")

_NOT_THERE = (100, 33)


def without(body: bytes, erased: Erased) -> bytes:
    """As the contract says. What is no JSON can't be taken apart: nothing of it stays."""
    try:
        data = lenient_json.loads(body)
        rest = _rest_of(data, erased)
        if rest == data:
            return body
        return json.dumps(rest, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return b""


def _rest_of(value: Any, erased: Erased, *, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _rest_of(part, erased, name=key) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    others = [part for part in value if not _is_erased(part, erased)]
    if name in _LISTS:
        return [_without_quotes(part, erased) for part in others]
    return [_rest_of(part, erased) for part in others]


def _is_erased(part: Any, erased: Erased) -> bool:
    if not isinstance(part, dict):
        return False
    if isinstance(part.get("messages"), list) and "id" in part:
        # A conversation of the history.
        return _names(part, ("id",), erased) or _names(
            part.get("context"), _ADDRESSES, erased
        )
    if sanitize_id(part.get("id")) in erased.message_ids:
        return True
    inner = [part, part.get("value"), *(part.get(name) for name in _NAMING)]
    return any(_names(each, _ADDRESSES, erased) for each in inner)


def _names(part: Any, fields: Sequence[str], erased: Erased) -> bool:
    if not isinstance(part, dict):
        return False
    named = owners_among(*(part.get(field) for field in fields))
    return not erased.owners.isdisjoint(named)


def _without_quotes(part: Any, erased: Erased) -> Any:
    """Another person's message without the name and the id of the message that it answers."""
    if not isinstance(part, dict) or not isinstance(part.get("context"), dict):
        return part
    context = {
        key: value
        for key, value in part["context"].items()
        if not _names({key: value}, _ADDRESSES, erased)
        and sanitize_id(value) not in erased.message_ids
    }
    return {**part, "context": context}


# --- Meta's own copies ----------------------------------------------------------------

_CODES = ErrorCodes(credentials=frozenset({190}), busy=frozenset(), refusals={})


def delete_copies(media_ids: Sequence[str]) -> Counter[str]:
    """Meta keeps files for some days; messages can't be deleted there.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
    """
    nothing_set = CredentialsRefusedError("META_ACCESS_TOKEN is not set.")
    api = f"{settings.META_GRAPH_URL}/{settings.META_GRAPH_VERSION}"
    counts: Counter[str] = Counter()
    for media_id in media_ids:
        url = f"{api}/{quote(media_id, safe='')}"

        def delete_with(token: str, url: str = url) -> str:
            return _outcome(delete(url, {"Authorization": f"Bearer {token}"}))

        counts[
            first_accepted(settings.META_ACCESS_TOKEN, delete_with, nothing_set)
        ] += 1
    return counts


def _outcome(answer: Answer) -> str:
    if answer.succeeded:
        return "deleted"
    error = answer.data.get("error")
    if not isinstance(error, dict):
        error = {}
    code = whole_number(error.get("code"))
    subcode = whole_number(error.get("error_subcode"))
    if answer.status == 404 or (code, subcode) == _NOT_THERE:
        return "gone"
    refusal = answer.error("Meta", code, _CODES)
    if isinstance(refusal, RefusedError):
        return "kept"
    raise refusal
