"""Several reports of one message: content replaces its absence, different contents are all saved.

A provider may send «unsupported», a placeholder or an error first and the content later, under the
same message id. The resulting rows depend neither on the order of the reports nor on how deliveries
bundle them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.db.models.functions import Least

from media_app.announce import Announcement, announce
from media_app.identity import computed_id
from media_app.inserts import insert_once
from media_app.models import Media
from messages_app import rebuild_requests
from messages_app.models import Attachment, Message, MessageVersion

# Kinds that say only that there is something …
ABSENT = frozenset({"unsupported", "media_placeholder", "unknown"})
# … and kinds that are nothing without their file.
FILES = frozenset({"image", "video", "audio", "document", "sticker"})
# Of the same content, a live report counts most: sessions are made of live messages.
ORIGINS = (
    Message.Origin.HISTORY,
    Message.Origin.ECHO,
    Message.Origin.LISTED,
    Message.Origin.STANDBY,
    Message.Origin.LIVE,
)
# What a reader reads from the raw message; a later release may read more.
READ = ("kind", "text", "payload", "refers_to", "errors")
# What belongs to the content; all else of a message belongs to how it was sent.
CONTENT = (*READ, "raw", "delivery_id")
FIELDS = tuple(
    field.attname for field in Message._meta.concrete_fields if not field.primary_key
)
SENDING = tuple(name for name in FIELDS if name not in CONTENT)


@dataclass(frozen=True, slots=True)
class Report:
    """What one delivery says of a message: a row that is not saved, and its files."""

    message: Message
    files: tuple[Announcement, ...]

    @property
    def content(self) -> Content:
        passed_on = [str(file.id) for file in self.files if not file.not_passed_on]
        return Content.of(
            self.message, passed_on, lacks_file=len(passed_on) < len(self.files)
        )


@dataclass(frozen=True, slots=True)
class Content:
    """What tells two reports of one message apart."""

    digest: str
    #: Whether it says more than that there was something.
    has_content: bool
    #: Whether a file of it was not passed on.
    lacks_file: bool
    origin: str
    errors: str

    @classmethod
    def of(
        cls,
        message: Message | MessageVersion,
        media_ids: Iterable[str],
        *,
        lacks_file: bool = False,
    ) -> Content:
        files = sorted(media_ids)
        parts = [message.kind, message.text, message.payload, message.refers_to, *files]
        is_complete = message.kind not in ABSENT | FILES and not lacks_file
        return cls(
            digest=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
            has_content=bool(files) or is_complete,
            lacks_file=lacks_file,
            origin=message.origin,
            errors=message.errors,
        )

    @property
    def rank(self) -> tuple[object, ...]:
        """The message shows the report of the highest rank. Where nothing else decides, the digest
        does.
        """
        return (
            self.has_content,
            self.lacks_file,
            ORIGINS.index(self.origin),
            self.digest,
            self.errors,
        )


def merge(reports: Sequence[Report]) -> None:
    """Merge reports into messages that have rows. In the caller's transaction."""
    ids = [report.message.id for report in reports]
    rows = _with_files(Message.objects.defer("raw").filter(id__in=ids)).in_bulk()
    for report in reports:
        row = rows[report.message.id]
        if _has_better_origin(report.message, row):
            # Whatever its content is: a message that also came live is live.
            _update(report, SENDING)
            rebuild_requests.request_rebuilds([row.id])
            row.origin = report.message.origin
        shown, digests = _content_of(row)
        new = report.content
        # Nearly always it is the same content again, from another delivery.
        if new.digest not in digests or new.rank > shown.rank:
            _merge(report, new)


def _merge(report: Report, new: Content) -> None:
    row = _with_files(Message.objects.filter(id=report.message.id)).get()
    shown, digests = _content_of(row)
    versions = list(row.versions.all())
    is_known = bool(versions) and new.digest in digests
    if is_known or (shown.has_content and not new.has_content):
        return
    rebuild_requests.request_rebuilds([row.id])
    if row.raw == report.message.raw:
        # The same report, read again by a release that reads more of it.
        MessageVersion.objects.filter(
            id__in=[each.id for each in versions if each.raw == row.raw]
        ).delete()
        _update(report, READ)
        if len(versions) > 1:
            insert_once([_version(report, new)], no_op_update="digest")
    else:
        if shown.has_content and shown.digest != new.digest:
            both = [_version(report, new)]
            if not versions:
                both.append(_version(Report(row, ()), shown, _files_passed_on(row)))
            insert_once(both, no_op_update="digest")
        if new.rank > shown.rank:
            keeps_origin = _has_better_origin(row, report.message)
            _update(report, CONTENT if keeps_origin else FIELDS)
    _attach(row, report.files, has_content=shown.has_content or new.has_content)
    rebuild_requests.request_rebuilds([row.id])


def _has_better_origin(one: Message, other: Message) -> bool:
    return ORIGINS.index(one.origin) > ORIGINS.index(other.origin)


def _content_of(row: Message) -> tuple[Content, set[str]]:
    """The content that a message shows, and the digests of all that it has."""
    versions = [Content.of(each, each.media_ids) for each in row.versions.all()]
    if versions:
        shown = max(versions, key=lambda each: each.rank)
        return shown, {each.digest for each in versions}
    files = [attachment.media for attachment in row.attachments.all()]
    lacks_file = any(not media.was_passed_on for media in files)
    content = Content.of(row, _files_passed_on(row), lacks_file=lacks_file)
    return content, {content.digest}


def _with_files(messages: QuerySet[Message]) -> QuerySet[Message]:
    files = Attachment.objects.select_related("media").order_by("position")
    return messages.prefetch_related(
        Prefetch("attachments", queryset=files), "versions"
    )


def _files_passed_on(row: Message) -> list[str]:
    return [
        str(attachment.media_id)
        for attachment in row.attachments.all()
        if attachment.media.was_passed_on
    ]


def _update(report: Report, fields: Sequence[str]) -> None:
    values = {name: getattr(report.message, name) for name in fields}
    if "received_at" in values:
        # An erasure reaches whatever the hub had until then, however often it comes again.
        values["received_at"] = Least("received_at", report.message.received_at)
    Message.objects.filter(id=report.message.id).update(**values)


def _version(
    report: Report, content: Content, media_ids: Sequence[str] | None = None
) -> MessageVersion:
    message = report.message
    if media_ids is None:
        media_ids = [str(file.id) for file in report.files if not file.not_passed_on]
    return MessageVersion(
        id=computed_id("version", str(message.id), content.digest),
        message_id=message.id,
        digest=content.digest,
        origin=message.origin,
        **{name: getattr(message, name) for name in READ},
        media_ids=list(media_ids),
        received_at=message.received_at,
        delivery_id=message.delivery_id,
        raw=message.raw,
    )


def _attach(row: Message, files: Sequence[Announcement], *, has_content: bool) -> None:
    """Attach the files of all versions; those not passed on, where the message has no content."""
    former = {attachment.media_id for attachment in row.attachments.all()}
    announce(files, new={file.id for file in files} - former)
    known = Media.objects.in_bulk(former | {file.id for file in files})
    media = [each for each in known.values() if each.was_passed_on or not has_content]
    ordered = sorted(media, key=lambda each: (each.position, str(each.id)))
    row.attachments.all().delete()
    Attachment.objects.bulk_create(
        Attachment(message_id=row.id, position=position, media_id=each.id)
        for position, each in enumerate(ordered)
    )
    _delete_not_passed_on(known.keys() - {each.id for each in media})


def _delete_not_passed_on(ids: Iterable[UUID]) -> None:
    """Delete the rows of files that were not passed on at first, and came after all: nothing of
    them was ever stored.
    """
    attached = Attachment.objects.filter(media=OuterRef("pk"))
    Media.objects.filter(
        ~Exists(attached), id__in=list(ids), provider_media_id="", url=""
    ).delete()
