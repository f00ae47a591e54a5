"""The rows of a person, in batches that each end whole: messages with their files, sessions with
their replies, at last the contact.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db.models import Exists, OuterRef, Q

from media_app.clock import just_after
from media_app.failpoints import failpoint
from media_app.models import Media
from messages_app import rebuild_requests
from messages_app.erasing.marks import ids_of_replies
from messages_app.erasing.person import Person, address_of
from messages_app.erasing.run import ClosedInbox, Run, WaitingError
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Message,
    MessageStatus,
    MessageVersion,
    OutboxItem,
    PhotoSession,
)

BATCH = 200
ERASED = "erased"
SHORTEST_ADDRESS = 7


def erase_rows(run: Run) -> int:
    """Delete all rows of the person. Returns how many messages, files, sessions, … they were."""
    _wait_for_senders(run)
    with ClosedInbox(run) as inbox, suppress(_FileLeftError):
        erased = _erase_sessions(run, inbox)
        erased += _erase_messages(run, inbox)
        erased += _erase_statuses(run, inbox)
        erased += _erase_files(run, inbox)
        erased += _erase_contacts(run, inbox)
        erased += _clear_log(run)
        return erased
    # A message was read while the files were deleted: all steps once more.
    return 1


class _FileLeftError(Exception):
    """The object of a file may still be there: its row has to stay for now."""


def _wait_for_senders(run: Run) -> None:
    """A reply that is being sent is settled first: the provider's id of it has to be known."""
    sending = OutboxItem.objects.filter(
        session__in=run.person.sessions(), state=OutboxItem.State.SENDING
    )
    for _ in run.patience():
        if not sending.all().exists():
            return
    raise WaitingError("A reply to the contact is being sent.")


def _erase_sessions(run: Run, inbox: ClosedInbox) -> int:
    """Those with a message that is erased. What later messages are left of them is rebuilt."""
    erased = 0
    for session in run.person.sessions().order_by("id"):
        with inbox.batch():
            if _is_of_later_messages(session, run.person):
                continue
            items = OutboxItem.objects.filter(session=session)
            ids = list(ids_of_replies(items))
            # The provider's id of a reply may have become known since the first step.
            run.keep_tombstones(ids)
            run.count(sessions=1, replies=items.count())
            MessageStatus.objects.filter(message_id__in=ids).delete()
            forget_in_log([session.id, *ids])
            session.delete()
            erased += 1
    return erased


def _is_of_later_messages(session: PhotoSession, person: Person) -> bool:
    messages = person.later_messages().filter(id__in=session.message_ids)
    return bool(session.message_ids) and messages.count() == len(session.message_ids)


def _erase_messages(run: Run, inbox: ClosedInbox) -> int:
    erased = 0
    while True:
        with inbox.batch():
            messages = run.person.messages().order_by("id")[:BATCH]
            ids = list(messages.values_list("id", flat=True))
            if ids:
                files = _files_only_in(ids)
                # Of a message that was read since the first step there are none yet.
                run.keep_tombstones([*ids, *files])
                _unname(ids)
                versions = MessageVersion.objects.filter(message__in=ids)
                forget_in_log([*ids, *files, *versions.values_list("id", flat=True)])
                statuses, _ = MessageStatus.objects.filter(message_id__in=ids).delete()
                _, deleted = Message.objects.filter(id__in=ids).delete()
                _delete_file_rows(files)
                run.count(
                    messages=len(ids),
                    statuses=statuses,
                    versions=deleted.get("messages_app.MessageVersion", 0),
                )
        failpoint("erase_within_rows")
        if not ids:
            return erased
        erased += len(ids)


def _files_only_in(message_ids: Collection[UUID]) -> list[UUID]:
    """The files of these messages that no other message has."""
    others = Attachment.objects.filter(media=OuterRef("pk")).exclude(
        message__in=message_ids
    )
    attached = Attachment.objects.filter(message__in=message_ids).values("media")
    files = Media.objects.filter(~Exists(others), id__in=attached)
    return list(files.values_list("id", flat=True))


def _delete_file_rows(ids: Collection[UUID]) -> int:
    """With attempts and viewings. Raises _FileLeftError."""
    rows = Media.objects.filter(id__in=ids)
    is_gone = Q(state=Media.State.DELETED, purged_at__isnull=False, public_key="")
    if rows.exclude(is_gone).exists() or rows.exclude(lease_until=None).exists():
        raise _FileLeftError
    deleted, _ = rows.delete()
    return deleted


def _unname(message_ids: Collection[UUID]) -> None:
    """Other people's messages that answer these no longer say which ones, and whose."""
    provider_ids = Message.objects.filter(id__in=message_ids).values_list(
        "provider_message_id", flat=True
    )
    answers = Message.objects.filter(refers_to__in=list(provider_ids)).exclude(
        id__in=message_ids
    )
    for answer in answers:
        raw: dict[str, Any] = dict(answer.raw)
        raw.pop("context", None)
        Message.objects.filter(id=answer.id).update(refers_to="", raw=raw)


def _erase_statuses(run: Run, inbox: ClosedInbox) -> int:
    with inbox.batch():
        statuses = run.person.statuses()
        forget_in_log(list(statuses.values_list("id", flat=True)))
        erased, _ = statuses.delete()
        run.count(statuses=erased)
    return erased


def _erase_files(run: Run, inbox: ClosedInbox) -> int:
    """The rows of files that are in no message: imported ones, or ones that a kill has left."""
    with inbox.batch():
        ids = list(run.person.files().values_list("id", flat=True))
        forget_in_log(ids)
        _delete_file_rows(ids)
    return len(ids)


def _erase_contacts(run: Run, inbox: ClosedInbox) -> int:
    erased = 0
    with inbox.batch():
        for contact in run.person.contacts.order_by("id"):
            later = run.person.later_messages().filter(contact=contact)
            forget_in_log([contact.id])
            if later.exists():
                rebuild_requests.request_rebuilds(later.values_list("id", flat=True))
                erased += _clear_name(contact, run)
                continue
            ContactOwner.objects.filter(contact=contact).delete()
            contact.delete()
            run.count(contacts=1)
            erased += 1
    return erased


def _clear_name(contact: Contact, run: Run) -> int:
    """Whoever has written again stays, with the name of the later messages alone."""
    named = Contact.objects.filter(id=contact.id).exclude(name="")
    cleared = named.filter(named_at__lt=just_after(run.person.until)).update(
        name="", named_at=None
    )
    run.count(names=cleared)
    return cleared


def _clear_log(run: Run) -> int:
    """Django's log of what staff did, where it quotes an address."""
    cleared = 0
    for owner in run.person.owners:
        cleared += _clear(LogEntry.objects.filter(object_id=owner))
        address = address_of(owner)
        if len(address) < SHORTEST_ADDRESS:
            # Of a short code: it may be any number.
            address = owner
        quotes = Q(object_repr__contains=address) | Q(change_message__contains=address)
        for entry in LogEntry.objects.filter(quotes):
            if run.person.is_named_in(f"{entry.object_repr} {entry.change_message}"):
                cleared += _clear(LogEntry.objects.filter(pk=entry.pk))
    run.count(log_entries=cleared)
    return cleared


def forget_in_log(ids: Collection[UUID]) -> None:
    """Who did what, and when, stays in Django's log; to what is forgotten."""
    texts = [str(id) for id in ids]
    for start in range(0, len(texts), BATCH):
        _clear(LogEntry.objects.filter(object_id__in=texts[start : start + BATCH]))


def _clear(entries: Any) -> int:
    cleared: int = entries.update(object_id=None, object_repr=ERASED, change_message="")
    return cleared
