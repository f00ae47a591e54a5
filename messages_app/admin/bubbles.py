"""A message as people see it in their chat: with its edits, its reactions, and whether it was
deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from media_app.admin.machine_owned import change_url, list_url
from media_app.admin.tiles import Tile, sender_name, tile
from messages_app.admin.quotes import (
    Address,
    Quote,
    Quoted,
    address_of,
    kind_in_words,
    quote_of,
    quoted_messages,
    quoted_replies,
    referred_by,
    shortened,
)
from messages_app.models import Attachment, Message, MessageVersion
from messages_app.providers import PROVIDERS
from messages_app.providers.lines import Line

# What changes another message, and is shown with it.
FOLLOWING = ("reaction", "edit", "revoke")
# Of a text, in a conversation and in a quote.
MAX_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class Reaction:
    emoji: str
    sender: str
    url: str


@dataclass(frozen=True, slots=True)
class Version:
    """What a message said before it was edited."""

    message: Message
    tiles: list[Tile]


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message with its edits, reactions and deletion, ready for a template."""

    message: Message
    sender: str
    contact: str
    text: str
    tiles: list[Tile]
    former: list[Version]
    #: All contents that came under its id, where they contradict each other.
    contents: list[MessageVersion]
    reactions: list[Reaction]
    quote: Quote | None
    #: What deleted it, or None.
    revoke: Message | None

    @property
    def url(self) -> str:
        return change_url(self.message)

    @property
    def group_url(self) -> str:
        return group_url(self.message)

    @property
    def opening(self) -> str:
        """The text as far as a conversation shows it."""
        return shortened(self.text, MAX_TEXT)

    @property
    def is_shortened(self) -> bool:
        return len(self.text) > MAX_TEXT

    @property
    def kind(self) -> str:
        return kind_in_words(self.message)

    @property
    def lines(self) -> list[Line]:
        """What it says beside its text. A line that repeats the text is left out."""
        provider = PROVIDERS.get(self.message.provider)
        if provider is None or not isinstance(self.message.raw, dict):
            return []
        lines = provider.lines(self.message.raw)
        return [line for line in lines if line.text != self.text]


def with_files(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Messages with their contacts, files and other contents, in four queries."""
    files = Prefetch(
        "attachments",
        queryset=Attachment.objects.select_related("media").order_by("position"),
    )
    versions = Prefetch("versions", queryset=MessageVersion.objects.defer("raw"))
    return messages.select_related("contact").prefetch_related(
        files, versions, "contact__owners"
    )


def standing_alone(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Without what is shown with another message."""
    others = Message.objects.filter(
        provider=OuterRef("provider"),
        account=OuterRef("account"),
        provider_message_id=OuterRef("refers_to"),
    )
    return messages.exclude(Q(kind__in=FOLLOWING) & Q(Exists(others)))


def bubbles(
    messages: Iterable[Message], *, may_view_files: bool, may_view_replies: bool = False
) -> list[Bubble]:
    """Messages with what is about them, by a few queries for all of them. They must come from
    ``with_files``.
    """
    rows = list(messages)
    following = _following(rows)
    quoted = quoted_messages(rows)
    if may_view_replies:
        quoted |= quoted_replies(
            [row for row in rows if row.refers_to and referred_by(row) not in quoted]
        )
    return [
        _bubble(row, following[address_of(row)], quoted, may_view_files) for row in rows
    ]


def name_of_sender(message: Message) -> str:
    if message.is_sent:
        return "the business"
    return name_of_contact(message)


def name_of_contact(message: Message) -> str:
    """By name, else by number; the message must come from ``with_files``."""
    contact = message.contact
    if contact is not None and (contact.name or message.is_sent):
        return contact.name or ", ".join(str(owner) for owner in contact.owners.all())
    if message.is_sent:
        return "unknown sender"
    return sender_name(message.owner) or "unknown sender"


def group_url(message: Message) -> str:
    """The address of the list of the group's messages, or ""."""
    if not message.group_id:
        return ""
    return list_url(Message, group=message.group_id)


def tiles_of(message: Message) -> list[Tile]:
    """The message's files, in their order; the message must come from ``with_files``."""
    sender = name_of_sender(message)
    return [
        tile(attachment.media, sender=sender)
        for attachment in message.attachments.all()
    ]


def _bubble(
    message: Message,
    following: list[Message],
    quoted: dict[Address, Quoted],
    may_view: bool,
) -> Bubble:
    edits = [row for row in following if row.kind == "edit"]
    versions = [Version(row, []) for row in (message, *edits)]
    if may_view:
        versions = [Version(row, tiles_of(row)) for row in (message, *edits)]
    current = versions[-1].message
    text = current.text
    if text == current.errors:
        text = ""
    # An edit without a file leaves the former file in place.
    shown = next((version.tiles for version in reversed(versions) if version.tiles), [])
    return Bubble(
        message=message,
        sender=name_of_sender(message),
        contact=name_of_contact(message),
        text=text,
        tiles=shown,
        former=versions[:-1],
        contents=list(message.versions.all()),
        reactions=_reactions(following),
        quote=quote_of(message, quoted),
        revoke=next((row for row in following if row.kind == "revoke"), None),
    )


def _reactions(following: list[Message]) -> list[Reaction]:
    """The last reaction of each sender; one without an emoji removes the former one."""
    last = {
        (row.direction, row.contact_id or row.owner): row
        for row in following
        if row.kind == "reaction"
    }
    return [
        Reaction(row.text, name_of_sender(row), change_url(row))
        for row in last.values()
        if row.text
    ]


def _following(rows: Sequence[Message]) -> dict[Address, list[Message]]:
    """What changes these messages, in the order in which it happened."""
    wanted = {address_of(row) for row in rows}
    found = Message.objects.filter(
        kind__in=FOLLOWING, refers_to__in={address.id for address in wanted}
    )
    following: dict[Address, list[Message]] = defaultdict(list)
    for row in (
        with_files(found).defer("raw").order_by("occurred_at", "received_at", "id")
    ):
        following[referred_by(row)].append(row)
    return following
