"""Twilio's list of an account's messages: what it received, whether or not a webhook told of it.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
https://www.twilio.com/docs/messaging/api/media-resource#read-multiple-media-resources
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings

from media_app.identity import SMS
from media_app.outbound import first_accepted, json_object
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    SourceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from media_app.sources.hosts import Hosts
from media_app.sources.http import get
from media_app.sources.twilio import credentials
from messages_app.providers.text import sanitize_id
from messages_app.providers.twilio_message import MAX_MEDIA

CONTENT_TYPE = "application/x-www-form-urlencoded"

PAGE_SIZE = 200
# Two million messages: a list that goes round and round ends there.
MAX_PAGES = 10_000
# A page of long texts has half a megabyte.
MAX_PAGE_BYTES = 4 * 1024 * 1024
REQUEST_SECONDS = 60
# A request that is refused for now, or gets no answer, is repeated so often …
TRIES = 6
# … after a pause that doubles, or is as long as Twilio asks for, up to a limit.
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)


class UnreadableListError(SourceError):
    """Twilio's answer is not the list that was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedMessage:
    """A message that a customer sent, as the list has it."""

    account: str
    #: Twilio's id of it, the one that a webhook has as ``MessageSid``.
    id: str
    #: None where Twilio does not say.
    sent_at: datetime | None
    resource: Mapping[str, Any]

    @property
    def has_files(self) -> bool:
        return str(self.resource.get("num_media") or "0") != "0"


def pages(
    *, since: datetime, until: datetime | None = None, owner: str = ""
) -> Iterator[list[ListedMessage]]:
    """The messages that customers have sent, the newest first, page by page.

    ``since`` and ``until`` are rounded to whole days of UTC; ``owner`` is the sender. Raises
    SourceError when the list can't be read to its end.
    """
    query = {"PageSize": str(PAGE_SIZE), "DateSent>": _day(since)}
    if until is not None:
        query["DateSent<"] = _day(until)
    if owner:
        query["From"] = owner.removeprefix(f"{SMS}:")
    path = f"{_account_path()}/Messages.json"
    following = f"{path}?{urlencode(query)}"
    for _ in range(MAX_PAGES):
        answer = _get(following)
        yield [
            message
            for resource in _objects(answer, "messages")
            if (message := _received(resource)) is not None
        ]
        following = str(answer.get("next_page_uri") or "")
        if not following:
            return
        if not following.startswith(f"{path}?"):
            # Our credentials go with the request.
            raise UnreadableListError(
                "Twilio's list goes on at an address that is not its own."
            )
    raise UnreadableListError(f"Twilio's list has more than {MAX_PAGES:,} pages.")


def form(message: ListedMessage) -> bytes:
    """The form that a webhook would have had, with the time (``DateSent``), which it lacks.

    The same message has the same form each time. Raises SourceError when its files can't be
    listed.
    """
    fields = {
        "MessageSid": message.id,
        "AccountSid": message.account,
        "SmsStatus": "received",
    }
    if message.sent_at is not None:
        fields["DateSent"] = message.sent_at.isoformat()
    texts = {
        "From": "from",
        "To": "to",
        "Body": "body",
        "NumMedia": "num_media",
        "MessagingServiceSid": "messaging_service_sid",
    }
    for name, source in texts.items():
        value = message.resource.get(source)
        if value is not None:
            fields[name] = str(value)
    if message.has_files:
        fields |= _files(message)
    return urlencode(fields, errors="replace").encode()


def _files(message: ListedMessage) -> dict[str, str]:
    folder = f"{_account_path()}/Messages/{quote(message.id, safe='')}/Media"
    answer = _get(f"{folder}.json?{urlencode({'PageSize': MAX_MEDIA})}")
    fields: dict[str, str] = {}
    for index, media in enumerate(_objects(answer, "media_list")[:MAX_MEDIA]):
        id = quote(str(media.get("sid") or ""), safe="")
        if id:
            fields[f"MediaUrl{index}"] = f"{settings.TWILIO_API_URL}{folder}/{id}"
            fields[f"MediaContentType{index}"] = str(media.get("content_type") or "")
    return fields


def _received(resource: Mapping[str, Any]) -> ListedMessage | None:
    """A message of a customer; None for what the business sent, and what is still coming in."""
    id = sanitize_id(resource.get("sid"))
    account = sanitize_id(resource.get("account_sid"))
    is_inbound = resource.get("direction") == "inbound"
    if not is_inbound or resource.get("status") == "receiving" or not (id and account):
        return None
    sent_at = _moment(resource.get("date_sent") or resource.get("date_created"))
    return ListedMessage(account=account, id=id, sent_at=sent_at, resource=resource)


def _moment(text: object) -> datetime | None:
    """A time as mails have it: ``Thu, 24 Aug 2023 05:01:45 +0000``."""
    try:
        moment = parsedate_to_datetime(str(text))
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _account_path() -> str:
    return f"/2010-04-01/Accounts/{quote(settings.TWILIO_ACCOUNT_SID, safe='')}"


def _objects(answer: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = answer.get(name)
    if not isinstance(found, list):
        raise UnreadableListError("Twilio's answer is no list.")
    return [each for each in found if isinstance(each, dict)]


# --- asking ---------------------------------------------------------------------------------


def _get(target: str) -> dict[str, Any]:
    """The answer to a request, repeated while it is refused for now. Raises SourceError."""
    pause = FIRST_PAUSE
    for _ in range(TRIES - 1):
        try:
            return _get_once(target)
        except ThrottledError as error:
            wait = error.retry_after or pause
        except UnavailableError:
            wait = pause
        time.sleep(min(wait, LONGEST_PAUSE).total_seconds())
        pause *= 2
    return _get_once(target)


def _get_once(target: str) -> dict[str, Any]:
    hosts = Hosts(base=settings.TWILIO_API_URL)
    deadline = Deadline(REQUEST_SECONDS)

    def get_with(authorization: str) -> dict[str, Any]:
        with get(
            f"{settings.TWILIO_API_URL}{target}",
            hosts=hosts,
            deadline=deadline,
            authorization=authorization,
            redirects=0,
        ) as response:
            response.raise_if_busy("Twilio's API")
            what = f"Twilio's API answered {response.status}"
            if response.status == 401:
                raise UnauthorizedError(f"{what}: our credentials are refused.")
            if response.status != 200:
                raise UnreadableListError(f"{what} to the request for its list.")
            return json_object(response.body(MAX_PAGE_BYTES))

    nothing_set = UnauthorizedError(
        "Neither TWILIO_AUTH_TOKEN nor TWILIO_API_KEY with TWILIO_API_SECRET is set."
    )
    return first_accepted(credentials(), get_with, nothing_set)
