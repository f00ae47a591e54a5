"""What the sessions of a conversation are built from: messages, staff decisions, rules."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Prefetch, Q, Value
from django.db.models.functions import Coalesce, NullIf, Substr
from django.db.models.lookups import Exact

from media_app.models import Media
from messages_app import replies
from messages_app.conversations import Conversation
from messages_app.models import Attachment, Message, PhotoSession
from messages_app.session_state import Photo, Rules, SessionMessage, Word
from messages_app.timing import ASSUMED_TIME_TOLERANCE, LATE_PHOTO_GRACE

# The kinds of messages that belong to sessions. All others (reactions, edits, notices) are about
# another message.
SESSION_KINDS = (
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
# A sticker is an image, but no photo.
PHOTO_KINDS = ("image", "document")
# The photos that a contact was told to send again. A deleted photo is not one of them: after a
# RESET, which deletes, the same messages must make the same session as before.
REFUSED_STATES = (Media.State.REJECTED, Media.State.EXPIRED)
# Whether an attachment's file is a photo, for a query; ``is_photo`` says the same of a row.
_TYPE = Coalesce(NullIf("media__content_type", Value("")), "media__announced_type")
IS_PHOTO = Exact(Substr(_TYPE, 1, len("image/")), "image/")


def rules() -> Rules:
    """How sessions begin and end, by the settings and the buttons' titles in this language."""
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


def start_of_history(conversation: Conversation, since: datetime) -> datetime:
    """The time from which messages must be read again when those from ``since`` on are new.

    That is the start of the first session that they may change. Sessions that were over before
    stay as they are, also when the settings have changed.
    """
    messages = Message.objects.live().filter(
        **conversation.fields, kind__in=SESSION_KINDS
    )
    around = (since - ASSUMED_TIME_TOLERANCE, since + ASSUMED_TIME_TOLERANCE)
    if messages.filter(occurred_at__range=around, time_assumed=True).exists():
        since -= ASSUMED_TIME_TOLERANCE
    # Photos within LATE_PHOTO_GRACE after DONE belong to it, also when the session is over by now.
    photos = messages.filter(
        kind__in=PHOTO_KINDS,
        occurred_at__gte=since,
        occurred_at__lte=OuterRef("done_at") + LATE_PHOTO_GRACE,
    )
    may_get_photos_after_end = Q(done_at__gte=since - LATE_PHOTO_GRACE) & Exists(photos)
    # A later word may show that photos after its end were meant for a new session.
    has_messages_after_end = Q(
        last_at__gt=F("ended_at"), last_at__gte=since - rules().ttl
    )
    may_change = (
        Q(state__in=PhotoSession.OPEN)
        | Q(ended_at__gte=since)
        | may_get_photos_after_end
        | has_messages_after_end
    )
    sessions = PhotoSession.objects.filter(
        may_change, **conversation.fields, started_at__lt=since
    )
    first = sessions.order_by("started_at").first()
    if first is None:
        return since
    return first.started_at


def messages_since(conversation: Conversation, start: datetime) -> list[SessionMessage]:
    messages = Message.objects.live().filter(
        **conversation.fields, occurred_at__gte=start
    )
    # Only those of the same contact: nobody else may revoke a photo.
    revokes = messages.filter(kind="revoke")
    revoked = set(revokes.values_list("refers_to", flat=True))
    attachments = Attachment.objects.select_related("media").order_by("position")
    rows = messages.filter(kind__in=SESSION_KINDS).prefetch_related(
        Prefetch("attachments", queryset=attachments)
    )
    return [
        _session_message(row, is_revoked=row.provider_message_id in revoked)
        for row in rows
    ]


def _session_message(row: Message, *, is_revoked: bool) -> SessionMessage:
    """Of a message that knows its attachments."""
    photos: list[Photo] = []
    if row.kind in PHOTO_KINDS:
        files = [attachment.media for attachment in row.attachments.all()]
        photos = [
            Photo(
                media.id,
                is_refused=media.state in REFUSED_STATES,
                is_revoked=is_revoked,
            )
            for media in files
            if is_photo(media)
        ]
    return SessionMessage(
        id=row.id,
        at=row.occurred_at,
        received_at=row.received_at,
        owner=row.owner,
        business=row.business,
        text=row.text,
        payload=row.payload,
        time_assumed=row.time_assumed,
        photos=tuple(photos),
    )


def is_photo(media: Media) -> bool:
    """By its stored type, or by the announced one until it is stored. As ``IS_PHOTO``."""
    return (media.content_type or media.announced_type).startswith("image/")


def staff_decision(row: PhotoSession) -> SessionMessage:
    at = row.staff_at or row.last_at
    return SessionMessage(id=row.id, at=at, received_at=at, decision=row.staff_verb)
