"""Request rebuilds of the sessions that new messages may change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from messages_app import session_history
from messages_app.conversations import Conversation, conversation_of
from messages_app.models import Attachment, Message, PhotoSession, SessionRebuild
from messages_app.session_history import IS_PHOTO, PHOTO_KINDS, SESSION_KINDS
from messages_app.session_state import Rules
from messages_app.session_words import may_begin
from messages_app.timing import LATE_PHOTO_GRACE

LONG_AGO = datetime.min.replace(tzinfo=UTC)
FOR_EVER = datetime.max.replace(tzinfo=UTC)


def request_rebuilds(message_ids: Iterable[UUID]) -> None:
    """Request a rebuild of the sessions that these new messages may change, in the transaction that
    saves the messages.

    Most messages change none: their contact has no open session, and they begin none.
    """
    ids = list(message_ids)
    new = Message.objects.live().filter(
        id__in=ids, kind__in=SESSION_KINDS, contact__isnull=False
    )
    rules = _rules_or_none()
    messages = _described(new, rules) + _described(_revoked_by(ids), rules)
    until = _open_until({message.conversation.contact_id for message in messages})
    rows = _rows(
        (message.conversation, message.at)
        for message in messages
        if message.may_begin or message.at <= until.get(message.conversation, LONG_AGO)
    )
    rows += _waiting_for_files(new)
    SessionRebuild.objects.bulk_create(rows, batch_size=500)


def _waiting_for_files(messages: QuerySet[Message]) -> list[SessionRebuild]:
    """Rows for files that may turn out to be photos once they are stored: some programs announce
    pictures as application/octet-stream.
    """
    files = Attachment.objects.exclude(IS_PHOTO).filter(
        message__in=messages.filter(kind__in=PHOTO_KINDS)
    )
    # Those that the provider gave an id or an address for.
    fetchable = files.exclude(media__provider_media_id="", media__url="")
    names = ("contact_id", "provider", "account", "business", "occurred_at")
    unknown = fetchable.values_list("id", *(f"message__{name}" for name in names))
    return [
        _row(Conversation.of(contact, *line), at, attachment_id=id)
        for id, contact, *line, at in unknown
    ]


@dataclass(frozen=True, slots=True)
class _NewMessage:
    """What of a new message decides whether sessions are rebuilt."""

    conversation: Conversation
    at: datetime
    may_begin: bool


def _described(messages: QuerySet[Message], rules: Rules | None) -> list[_NewMessage]:
    names = (
        "contact_id",
        "provider",
        "account",
        "business",
        "occurred_at",
        "kind",
        "text",
        "payload",
    )
    return [
        _NewMessage(
            Conversation.of(contact, *line),
            at,
            rules is None or may_begin(text, payload, kind in PHOTO_KINDS, rules),
        )
        for contact, *line, at, kind, text, payload in messages.values_list(*names)
        if contact
    ]


def _rules_or_none() -> Rules | None:
    """The rules of sessions; None where the settings can't be read. Then any message may begin a
    session: no message is lost by it. The rebuild fails by the same error, and staff see it.
    """
    try:
        return session_history.rules()
    except Exception:
        return None


def _revoked_by(message_ids: Sequence[UUID]) -> QuerySet[Message]:
    """The messages that these revoke."""
    revokes = Message.objects.live().filter(
        id__in=message_ids, kind="revoke", contact__isnull=False
    )
    of_message = {name: OuterRef(name) for name in ("contact", "provider", "account")}
    revoke = revokes.filter(**of_message, refers_to=OuterRef("provider_message_id"))
    ids = list(revokes.values_list("refers_to", flat=True))
    return Message.objects.live().filter(Exists(revoke), provider_message_id__in=ids)


def _open_until(contacts: Collection[UUID]) -> dict[Conversation, datetime]:
    """For each conversation with sessions: the latest time of a message that may change one."""
    until: dict[Conversation, datetime] = {}
    # Requests are read before sessions: a rebuild that another process commits between the two
    # queries is known by its request or by its sessions.
    for row in SessionRebuild.objects.filter(contact__in=contacts):
        until[conversation_of(row)] = FOR_EVER
    sessions = PhotoSession.objects.filter(contact__in=contacts).order_by()
    rows = sessions.values_list(
        "contact_id", "provider", "account", "business"
    ).annotate(
        open=Count("id", filter=Q(state__in=PhotoSession.OPEN)),
        last=Max("last_at"),
        ended=Max("ended_at"),
    )
    for contact, provider, account, business, is_open, last_at, ended_at in rows:
        conversation = Conversation.of(contact, provider, account, business)
        end = max(last_at, ended_at or last_at) + LATE_PHOTO_GRACE
        if is_open:
            end = FOR_EVER
        until[conversation] = max(until.get(conversation, LONG_AGO), end)
    return until


def _rows(moments: Iterable[tuple[Conversation, datetime]]) -> list[SessionRebuild]:
    """A row for each conversation, since its earliest moment."""
    since: dict[Conversation, datetime] = {}
    for conversation, at in moments:
        since[conversation] = min(since.get(conversation, at), at)
    return [_row(conversation, since[conversation]) for conversation in sorted(since)]


def _row(
    conversation: Conversation, since: datetime, attachment_id: int | None = None
) -> SessionRebuild:
    return SessionRebuild(
        **asdict(conversation), since=since, attachment_id=attachment_id
    )


def request_merged(old: UUID, chosen: UUID) -> None:
    """Give the sessions of contact ``old`` to contact ``chosen``, who is the same person, and
    request their rebuild. In the caller's transaction.
    """
    SessionRebuild.objects.filter(contact_id=old).update(contact_id=chosen)
    sessions = PhotoSession.objects.filter(contact_id=old)
    # Two may have been open, and a contact has one open session: the rebuild finds out which.
    sessions.filter(state__in=PhotoSession.OPEN).update(
        state=PhotoSession.State.CANCELLED
    )
    sessions.update(contact_id=chosen)
    moved = PhotoSession.objects.filter(contact_id=chosen)
    rows = _rows((conversation_of(row), row.started_at) for row in moved)
    SessionRebuild.objects.bulk_create(rows)
