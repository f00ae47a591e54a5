"""What the fold says of sessions, written down: their rows, and what they owe.

All of it in one transaction, under the contact's lock. Running it once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Prefetch, Q
from django.db.models.functions import Now

from media_app import jobs as media_jobs
from media_app.identity import computed_id
from media_app.inserts import insert_once
from media_app.models import Media
from messages_app import replies
from messages_app.models import (
    Attachment,
    Contact,
    Message,
    OutboxItem,
    PhotoSession,
    SessionRebuild,
)
from messages_app.providers import provider
from messages_app.sessions import (
    ASSUMED_TOLERANCE,
    GRACE,
    Photo,
    Rules,
    Said,
    Session,
    Word,
    fold,
)
from messages_app.summaries import essence, summarize

# What a contact says. All else (reactions, edits, notices) is about something that was said.
SPOKEN = (
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
)
# A sticker is an image, and no photo.
SHOWN = ("image", "document")
# What a contact was told to send again. Not what was deleted: a RESET must fold the same before and
# after it.
NEVER_HAD = (Media.State.REJECTED, Media.State.EXPIRED)
# A reply that a late photo has proved wrong is followed by the next one no sooner.
CORRECT_EVERY = timedelta(seconds=5)

Kind = OutboxItem.Kind
# The replies that say how many photos there are.
COUNTING = (Kind.QUESTION, Kind.SUBMITTED, Kind.CORRECTION)
# The states whose contact was told it.
COUNTED = (PhotoSession.State.AWAITING_DETAILS, PhotoSession.State.SUBMITTED)


@dataclass(frozen=True, order=True, slots=True)
class Line:
    """One contact's conversation with one number of the business."""

    contact_id: UUID
    provider: str
    account: str
    #: The number; "" where the account names it, because that number is written now with spaces and
    #: now without.
    business: str

    @classmethod
    def of(
        cls, contact_id: UUID, provider_name: str, account: str, business: str
    ) -> Line:
        is_named_by_account = (
            account != "" and provider(provider_name).has_account_per_number
        )
        return cls(
            contact_id, provider_name, account, "" if is_named_by_account else business
        )

    @property
    def names(self) -> dict[str, Any]:
        """What its messages, sessions and rebuilds have in common, for a filter."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value != "" or name != "business"
        }


def rules() -> Rules:
    """How sessions begin and end, as it is set, and as the buttons are called in this language."""
    skip, add = (button.title for button in replies.buttons())
    words = {
        Word.START: settings.SESSION_WORDS_START,
        Word.DONE: settings.SESSION_WORDS_DONE,
        Word.CANCEL: settings.SESSION_WORDS_CANCEL,
        Word.RESET: settings.SESSION_WORDS_RESET,
        Word.SKIP: [skip, *skip.split(", ")],
        Word.ADD: [add, *add.split(", ")],
    }
    return Rules(
        words={
            " ".join(typed.casefold().split()): word
            for word in reversed(Word)
            for typed in words[word]
        },
        starts_with_photo=settings.SESSION_START == "photo",
        ttl=timedelta(seconds=settings.SESSION_TTL_SECONDS),
    )


def line_of(row: PhotoSession | SessionRebuild) -> Line:
    return Line.of(row.contact_id, row.provider, row.account, row.business)


def refold(line: Line, since: datetime, *, may_expire: bool = False) -> None:
    """Fold what was said from ``since`` on, and from the beginning of the session that was open
    then.
    """
    now = (
        Contact.objects.select_for_update()
        .values_list(Now(), flat=True)
        .get(id=line.contact_id)
    )
    known = PhotoSession.objects.filter(**line.names)
    start = _beginning(line, since)
    rows = list(known.filter(started_at__gte=start).order_by("started_at", "id"))
    history = [*_said(line, start), *(_decided(row) for row in rows if row.staff_verb)]
    # One that is void never ended.
    before = (
        known.filter(started_at__lt=start, ended_at__isnull=False)
        .order_by("-started_at")
        .first()
    )
    missed = (
        before.last_at
        if before and before.state == PhotoSession.State.EXPIRED
        else None
    )
    sessions = fold(history, rules(), now=now, may_expire=may_expire, missed=missed)
    _write(line, sessions, rows)


def _beginning(line: Line, since: datetime) -> datetime:
    """When the session began that what was said from then on may change.

    Sessions that were over by then stay as they are, whatever the settings are by now.
    """
    said = Message.objects.live().filter(**line.names, kind__in=SPOKEN)
    around = (since - ASSUMED_TOLERANCE, since + ASSUMED_TOLERANCE)
    if said.filter(occurred_at__range=around, time_assumed=True).exists():
        since -= ASSUMED_TOLERANCE
    # Photos that were on their way at DONE belong to a session that is over by now.
    photos = said.filter(
        kind__in=SHOWN,
        occurred_at__gte=since,
        occurred_at__lte=OuterRef("done_at") + GRACE,
    )
    is_late = Q(done_at__gte=since - GRACE) & Exists(photos)
    # A later word may show that they were meant for a session of their own.
    has_late = Q(last_at__gt=F("ended_at"), last_at__gte=since - rules().ttl)
    reaching = (
        Q(state__in=PhotoSession.OPEN) | Q(ended_at__gte=since) | is_late | has_late
    )
    known = PhotoSession.objects.filter(reaching, **line.names, started_at__lt=since)
    before = known.order_by("started_at").first()
    return before.started_at if before else since


def _said(line: Line, start: datetime) -> list[Said]:
    shown = Attachment.objects.select_related("media").order_by("position")
    messages = Message.objects.live().filter(
        **line.names, occurred_at__gte=start, kind__in=SPOKEN
    )
    # Only those of the same contact: nobody else may revoke a photo.
    revokes = Message.objects.live().filter(
        **line.names, occurred_at__gte=start, kind="revoke"
    )
    revoked = set(revokes.values_list("refers_to", flat=True))
    return [
        Said(
            id=message.id,
            at=message.occurred_at,
            received_at=message.received_at,
            owner=message.owner,
            business=message.business,
            text=message.text,
            payload=message.payload,
            time_assumed=message.time_assumed,
            photos=tuple(
                Photo(
                    attachment.media_id,
                    is_refused=attachment.media.state in NEVER_HAD,
                    is_revoked=message.provider_message_id in revoked,
                )
                for attachment in message.attachments.all()
                if message.kind in SHOWN and is_photo(attachment.media)
            ),
        )
        for message in messages.prefetch_related(
            Prefetch("attachments", queryset=shown)
        )
    ]


def is_photo(media: Media) -> bool:
    """By its stored type, or by the announced one until it is stored."""
    return (media.content_type or media.announced_type).startswith("image/")


def _decided(row: PhotoSession) -> Said:
    at = row.staff_at or row.last_at
    return Said(id=row.id, at=at, received_at=at, decision=row.staff_verb)


def _write(
    line: Line, sessions: Sequence[Session], rows: Sequence[PhotoSession]
) -> None:
    """Give each session its row, by the message that it was first known by. One that is open is
    written last.
    """
    left = list(rows)
    for session in sorted(sessions, key=lambda session: session.is_open):
        spoken = set(session.messages)
        # The business and the contact know it by the row that has come farthest.
        own = sorted((row for row in left if row.anchor_id in spoken), key=_known_as)
        left = [row for row in left if row not in own]
        row = own[0] if own else _new(line, session)
        for swallowed in own[1:]:
            _void(swallowed)
        if session.is_open:
            # All that is open by now and is not this one has turned out to be something else.
            for other in left:
                _void(other)
            left = []
        _put(row, session)
        _owe(row, session)
        review(row)
        if row.is_reset:
            _delete_files(row)
    for row in left:
        _void(row)


def _known_as(row: PhotoSession) -> int:
    order: list[str] = [
        PhotoSession.State.SUBMITTED,
        PhotoSession.State.AWAITING_DETAILS,
    ]
    return order.index(row.state) if row.state in order else len(order)


def _new(line: Line, session: Session) -> PhotoSession:
    return PhotoSession(
        id=computed_id("session", str(session.first.id)),
        anchor_id=session.first.id,
        **line.names,
    )


def _put(row: PhotoSession, session: Session) -> None:
    row.owner = session.last.owner
    row.business = session.last.business
    row.state = session.state
    row.is_reset = session.is_reset
    row.is_unanswered = session.is_unanswered
    row.started_at = session.first.at
    row.last_at = session.last.at
    row.last_received_at = session.last.received_at
    row.done_at = session.done_at
    row.ended_at = session.ended_at
    row.details = session.details
    row.message_ids = [str(id) for id in session.messages]
    row.media_ids = [str(photo.id) for photo in session.standing]
    row.is_settled = False
    row.save()


def _void(row: PhotoSession) -> None:
    """A session that was none: an older message has shown that it belongs to another one."""
    row.state, row.ended_at, row.message_ids, row.media_ids = (
        PhotoSession.State.CANCELLED,
        None,
        [],
        [],
    )
    row.save(update_fields=["state", "ended_at", "message_ids", "media_ids"])
    row.outbox.filter(state=OutboxItem.State.QUEUED).delete()
    review(row)


def _owe(row: PhotoSession, session: Session) -> None:
    items = [
        OutboxItem(
            id=computed_id(str(row.id), owed.reply, owed.cause),
            session=row,
            kind=owed.reply,
            place=place,
            caused_at=owed.caused_at,
        )
        for place, owed in enumerate(session.owed)
    ]
    insert_once(items, unchanged="kind")
    # What an older message has made pointless is not said any more.
    owed_by_review = {
        Kind.CORRECTION: COUNTED,
        Kind.HAND_OVER: (PhotoSession.State.SUBMITTED,),
    }
    still = [kind for kind, states in owed_by_review.items() if row.state in states]
    # Of one that was tried nobody knows whether it has arrived.
    pointless = row.outbox.filter(
        ~Q(kind=Kind.HAND_OVER) | Q(attempts=0), state=OutboxItem.State.QUEUED
    )
    pointless.exclude(kind__in=still).exclude(
        id__in=[item.id for item in items]
    ).delete()


def review(row: PhotoSession) -> None:
    """Owe a correction where the last reply has proved wrong, and a revision where the last
    hand-over has.

    Under the contact's lock.
    """
    items = list(row.outbox.all())
    summary = summarize(row)
    row.is_settled = summary.holding.on_their_way == 0
    PhotoSession.objects.filter(id=row.id).update(is_settled=row.is_settled)
    if not all(is_photo(photo.media) for photo in summary.photos):
        # What was announced as a photo was stored, and is none.
        SessionRebuild.objects.create(**asdict(line_of(row)), since=row.started_at)
    _correct(row, items, summary.holding.photos)
    revisions = sorted(
        (item for item in items if item.kind == Kind.HAND_OVER),
        key=lambda item: item.revision,
    )
    # Whoever has a session must hear, too, that it was cancelled after all.
    if settings.SESSION_WEBHOOK_URL and (
        row.state == PhotoSession.State.SUBMITTED or revisions
    ):
        data = summary.as_data(0)
        # One that was not put into words yet will say what is true then.
        if not revisions or (
            revisions[-1].said and essence(revisions[-1].said) != essence(data)
        ):
            hand_over(row, revisions[-1].revision + 1 if revisions else 1)


def hand_over(row: PhotoSession, revision: int) -> None:
    """Owe the business this revision of the session."""
    item = OutboxItem(
        id=computed_id(str(row.id), Kind.HAND_OVER, str(revision)),
        session=row,
        kind=Kind.HAND_OVER,
        revision=revision,
        place=revision,
        caused_at=row.last_received_at,
    )
    insert_once([item], unchanged="kind")


def _correct(row: PhotoSession, items: Sequence[OutboxItem], photos: int) -> None:
    if row.state not in COUNTED:
        return
    counting = [item for item in items if item.kind in COUNTING]
    if any(item.state == OutboxItem.State.QUEUED for item in counting):
        return
    said = [
        item
        for item in counting
        if item.sending_at and item.state != OutboxItem.State.FAILED
    ]
    last = max(said, key=_sending_at, default=None)
    if last is not None and last.said.get("photos") != photos:
        item = OutboxItem(
            id=computed_id(str(row.id), Kind.CORRECTION, str(last.id)),
            session=row,
            kind=Kind.CORRECTION,
            place=max(item.place for item in items) + 1,
            caused_at=row.last_received_at,
            not_before=_sending_at(last) + CORRECT_EVERY,
        )
        insert_once([item], unchanged="kind")


def _sending_at(item: OutboxItem) -> datetime:
    return item.sending_at or datetime.min.replace(tzinfo=UTC)


def _delete_files(row: PhotoSession) -> None:
    """As its contact asked: all files of this session's messages that were sent nowhere else. A
    hold keeps them.
    """
    if Contact.objects.get(id=row.contact_id).is_held:
        return
    sent = Attachment.objects.filter(message_id__in=row.message_ids).values("media_id")
    elsewhere = Attachment.objects.filter(media_id=OuterRef("id")).exclude(
        message_id__in=row.message_ids
    )
    if Media.objects.filter(~Exists(elsewhere), id__in=sent).mark_deleted(
        "Its sender asked for it by RESET."
    ):
        transaction.on_commit(media_jobs.enqueue_purge, robust=True)
