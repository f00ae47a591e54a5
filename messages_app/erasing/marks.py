"""The first step: tombstones of all that will be erased, in the database and in the storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from media_app import identity, record
from media_app.failpoints import failpoint
from media_app.storage import Storage, media_storage
from messages_app.erasing import files, records
from messages_app.erasing.deliveries import tombstones_of
from messages_app.erasing.person import Person
from messages_app.erasing.run import Run
from messages_app.models import Attachment, OutboxItem

BATCH = 500


def keep_tombstones(run: Run) -> int:
    """What comes again after this step is known. What a drainer is reading just now is found by
    the steps after it. Returns 0: it erases nothing.
    """
    ids = chain(
        _of_rows(run.person),
        tombstones_of(run.person),
        _of_unknown_objects(run.person, media_storage()),
    )
    while batch := list(islice(ids, BATCH)):
        run.go_on()
        theirs = set(batch) - _of_others(batch, run.person)
        failpoint("erase_before_tombstones")
        run.keep_tombstones(theirs)
    # A restored backup is known by it, from now on.
    records.write(run.request)
    return 0


def _of_rows(person: Person) -> Iterator[UUID]:
    yield from person.messages().values_list("id", flat=True)
    yield from person.files().values_list("id", flat=True)
    statuses = person.statuses()
    yield from statuses.filter(group_id="").values_list("message_id", flat=True)
    yield from statuses.exclude(group_id="").values_list("id", flat=True)
    replies = OutboxItem.objects.filter(session__in=person.sessions())
    yield from ids_of_replies(replies)


def ids_of_replies(replies: QuerySet[OutboxItem]) -> Iterator[UUID]:
    """What their statuses may name them by: the provider's id, or our own reference."""
    for item in replies.select_related("session"):
        yield item.id
        if item.provider_message_id:
            session = item.session
            yield identity.computed_id(
                session.provider, session.account, item.provider_message_id
            )


def _of_unknown_objects(person: Person, storage: Storage) -> Iterator[UUID]:
    """The ids that objects tell of themselves, where no row does: of a restored bucket, or after
    the database was lost. Not those of later messages.
    """
    for prefix in person.prefixes():
        if prefix.startswith(identity.PREVIEWS):
            continue
        for keys in files.batches(each.key for each in storage.list(prefix)):
            for key in files.unknown(keys):
                found = storage.head(key)
                if found is not None and not files.is_later(found, person.until):
                    yield from _told_by(found.metadata or {})


def _told_by(metadata: Mapping[str, str]) -> Iterator[UUID]:
    try:
        yield UUID(metadata.get("media-id", ""))
        told = record.decode(metadata, keys=settings.MEDIA_METADATA_KEYS)
    except ValueError:
        return
    if told.provider_message_id:
        yield identity.computed_id(told.source, told.account, told.provider_message_id)


def _of_others(ids: Sequence[UUID], person: Person) -> set[UUID]:
    """Those of files that somebody else sent or got, too."""
    attached = Attachment.objects.filter(media__in=ids)
    others = attached.exclude(message__in=person.messages().values("id"))
    return set(others.values_list("media_id", flat=True))
