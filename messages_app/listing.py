"""Import what customers sent by Twilio and no webhook told of, from the account's list of messages.

Each becomes a delivery with the form that its webhook would have had. The inbox reads it, with the
same ids: a webhook that comes later, or came before, is the same message. Its origin is «listed»:
it opens no session, and no reply is sent because of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from media_app import tombstones
from media_app.clock import database_now
from media_app.failpoints import failpoint
from media_app.identity import computed_id
from messages_app import inbox
from messages_app.models import Delivery, Message, MessageListing
from messages_app.providers import twilio_list
from messages_app.providers.twilio_list import ListedMessage
from messages_app.providers.twilio_message import LISTED
from messages_app.timing import FIRST_LISTING_PERIOD, LISTING_OVERLAP

PROVIDER = "twilio"


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """Which messages are asked for: of all senders, or of one owner."""

    since: datetime | None = None
    until: datetime | None = None
    owner: str = ""

    def has(self, at: datetime | None) -> bool:
        """Whether a message of this time was asked for. The list is chosen by whole days."""
        if at is None:
            return True
        is_too_old = self.since is not None and at < self.since
        return not is_too_old and (self.until is None or at < self.until)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedPage:
    """What one page of the list brought."""

    #: How many messages of customers it has.
    listed: int
    #: Twilio's ids of those that were not known.
    imported: tuple[str, ...]


def import_listed(period: Period) -> Iterator[ListedPage]:
    """Read the list page by page, and import what is not known.

    Without ``period.since`` it goes on where the last one ended, with an overlap: messages may
    be listed late. Only a list that was read to its end counts as read. Raises SourceError.
    """
    account, began = settings.TWILIO_ACCOUNT_SID, database_now()
    read_until = MessageListing.read_until_of(PROVIDER, account)
    since = period.since
    if since is None:
        since = (read_until or began - FIRST_LISTING_PERIOD) - LISTING_OVERLAP
    # What has arrived already is known then.
    inbox.drain()
    for page in twilio_list.pages(since=since, until=period.until, owner=period.owner):
        chosen = [message for message in page if period.has(message.sent_at)]
        unknown = _unknown(chosen)
        for message in unknown:
            _deliver(message)
        failpoint("listing_after_store")
        inbox.drain_until_read(Delivery.objects.filter(endpoint=LISTED))
        imported = tuple(message.id for message in unknown)
        yield ListedPage(listed=len(chosen), imported=imported)
    failpoint("listing_before_mark")
    leaves_no_gap = read_until is None or since <= read_until
    if leaves_no_gap and period.until is None and not period.owner:
        MessageListing.note_read(PROVIDER, account, began)


def _unknown(messages: Sequence[ListedMessage]) -> list[ListedMessage]:
    """Those that are neither there nor erased."""
    by_id = {computed_id(PROVIDER, each.account, each.id): each for each in messages}
    known = set(Message.objects.filter(id__in=by_id).values_list("id", flat=True))
    known |= tombstones.erased(by_id.keys())
    return [message for id, message in by_id.items() if id not in known]


def _deliver(message: ListedMessage) -> None:
    Delivery.objects.store(
        endpoint=LISTED,
        content_type=twilio_list.CONTENT_TYPE,
        query="",
        body=twilio_list.form(message),
    )
