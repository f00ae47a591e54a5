"""What is said again of a message that is known: content replaces its absence, two contents are
both kept.

A provider may send «unsupported», a placeholder or an error first and the content later, under the
same message id. The rows in the end depend neither on the order of the accounts nor on how
deliveries bundle them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from media_app.announce import Announcement, announce
from media_app.identity import computed_id
from media_app.inserts import insert_once
from media_app.models import Media
from messages_app import conversations
from messages_app.models import Attachment, Message, MessageVersion

# Kinds that say only that there is something …
ABSENT = frozenset({"unsupported", "media_placeholder", "unknown"})
# … and kinds that are nothing without their file.
FILES = frozenset({"image", "video", "audio", "document", "sticker"})
# Of the same content, the account that sessions follow counts most.
ORIGINS = (
    Message.Origin.HISTORY,
    Message.Origin.ECHO,
    Message.Origin.STANDBY,
    Message.Origin.LIVE,
)
# What a reader makes of an account, and may make better one day.
READ = ("kind", "text", "payload", "refers_to", "errors")
# What belongs to the content; all else of a message belongs to how it was sent.
CONTENT = (*READ, "raw", "delivery_id")
FIELDS = tuple(
    field.attname for field in Message._meta.concrete_fields if not field.primary_key
)
SENDING = tuple(name for name in FIELDS if name not in CONTENT)


@dataclass(frozen=True, slots=True)
class Account:
    """What one delivery says of a message: a row that is not saved, and its files."""

    message: Message
    files: tuple[Announcement, ...]

    @property
    def content(self) -> Content:
        named = [str(file.id) for file in self.files if not file.lost]
        return Content.of(self.message, named, has_lost=len(named) < len(self.files))


@dataclass(frozen=True, slots=True)
class Content:
    """What tells two accounts of one message apart."""

    digest: str
    #: Whether it is more than the news that there was something.
    is_there: bool
    has_lost: bool
    origin: str
    errors: str

    @classmethod
    def of(
        cls,
        said: Message | MessageVersion,
        media_ids: Iterable[str],
        *,
        has_lost: bool = False,
    ) -> Content:
        files = sorted(media_ids)
        parts = [said.kind, said.text, said.payload, said.refers_to, *files]
        speaks = said.kind not in ABSENT | FILES and not has_lost
        return cls(
            digest=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
            is_there=bool(files) or speaks,
            has_lost=has_lost,
            origin=said.origin,
            errors=said.errors,
        )

    @property
    def rank(self) -> tuple[object, ...]:
        """The message shows the account of the highest rank. Where nothing else decides, the digest
        does.
        """
        return (
            self.is_there,
            self.has_lost,
            ORIGINS.index(self.origin),
            self.digest,
            self.errors,
        )


def merge(accounts: Sequence[Account]) -> None:
    """Take in accounts of messages that have rows. In the caller's transaction."""
    ids = [account.message.id for account in accounts]
    rows = _with_files(Message.objects.defer("raw").filter(id__in=ids)).in_bulk()
    for account in accounts:
        row = rows[account.message.id]
        if _is_from_nearer(account.message, row):
            # Whatever it says: a message that came live, too, is live.
            _show(account, SENDING)
            conversations.note([row.id])
            row.origin = account.message.origin
        shown, digests = _content_of(row)
        new = account.content
        # Nearly always it is the same once more, from another delivery.
        if new.digest not in digests or new.rank > shown.rank:
            _merge(account, new)


def _merge(account: Account, new: Content) -> None:
    row = _with_files(Message.objects.filter(id=account.message.id)).get()
    shown, digests = _content_of(row)
    versions = list(row.versions.all())
    is_known = bool(versions) and new.digest in digests
    if is_known or (shown.is_there and not new.is_there):
        return
    conversations.note([row.id])
    if row.raw == account.message.raw:
        # The same account, read once more by a reader that understands more of it.
        MessageVersion.objects.filter(
            id__in=[each.id for each in versions if each.raw == row.raw]
        ).delete()
        _show(account, READ)
        if len(versions) > 1:
            insert_once([_version(account, new)], unchanged="digest")
    else:
        if shown.is_there and shown.digest != new.digest:
            former = (
                [] if versions else [_version(Account(row, ()), shown, _named(row))]
            )
            insert_once([*former, _version(account, new)], unchanged="digest")
        if new.rank > shown.rank:
            _show(account, CONTENT if _is_from_nearer(row, account.message) else FIELDS)
    _attach(row, account.files, is_there=shown.is_there or new.is_there)
    conversations.note([row.id])


def _is_from_nearer(one: Message, other: Message) -> bool:
    return ORIGINS.index(one.origin) > ORIGINS.index(other.origin)


def _content_of(row: Message) -> tuple[Content, set[str]]:
    """The content that a message shows, and the digests of all that it has."""
    versions = [Content.of(each, each.media_ids) for each in row.versions.all()]
    if versions:
        return max(versions, key=lambda each: each.rank), {
            each.digest for each in versions
        }
    files = [attachment.media for attachment in row.attachments.all()]
    content = Content.of(
        row, _named(row), has_lost=any(not media.is_named for media in files)
    )
    return content, {content.digest}


def _with_files(messages: QuerySet[Message]) -> QuerySet[Message]:
    files = Attachment.objects.select_related("media").order_by("position")
    return messages.prefetch_related(
        Prefetch("attachments", queryset=files), "versions"
    )


def _named(row: Message) -> list[str]:
    return [
        str(attachment.media_id)
        for attachment in row.attachments.all()
        if attachment.media.is_named
    ]


def _show(account: Account, fields: Sequence[str]) -> None:
    values = {name: getattr(account.message, name) for name in fields}
    Message.objects.filter(id=account.message.id).update(**values)


def _version(
    account: Account, content: Content, media_ids: Sequence[str] | None = None
) -> MessageVersion:
    said = account.message
    named = (
        [str(file.id) for file in account.files if not file.lost]
        if media_ids is None
        else media_ids
    )
    return MessageVersion(
        id=computed_id("version", str(said.id), content.digest),
        message_id=said.id,
        digest=content.digest,
        origin=said.origin,
        **{name: getattr(said, name) for name in READ},
        media_ids=list(named),
        received_at=said.received_at,
        delivery_id=said.delivery_id,
        raw=said.raw,
    )


def _attach(row: Message, files: Sequence[Announcement], *, is_there: bool) -> None:
    """The message has the files of all its versions; of what is there, none is lost."""
    former = {attachment.media_id for attachment in row.attachments.all()}
    announce(files, anew={file.id for file in files} - former)
    known = Media.objects.in_bulk(former | {file.id for file in files})
    media = [each for each in known.values() if each.is_named or not is_there]
    ordered = sorted(media, key=lambda each: (each.position, str(each.id)))
    row.attachments.all().delete()
    Attachment.objects.bulk_create(
        Attachment(message_id=row.id, position=position, media_id=each.id)
        for position, each in enumerate(ordered)
    )
    _forget(known.keys() - {each.id for each in media})


def _forget(lost: Iterable[UUID]) -> None:
    """Rows of files that were said to be lost, and came after all: nothing was ever kept of
    them.
    """
    attached = Attachment.objects.filter(media=OuterRef("pk"))
    Media.objects.filter(
        ~Exists(attached), id__in=list(lost), provider_media_id="", url=""
    ).delete()
