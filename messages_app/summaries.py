"""The summary of a session: as data for the business, then as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from media_app import signing
from media_app.models import Media
from media_app.publication import public_address
from media_app.signing import Disposition, Link
from messages_app.models import Message, PhotoSession

# The photos that will not be available.
REFUSED = frozenset({Media.State.REJECTED, Media.State.EXPIRED, Media.State.DELETED})


@dataclass(frozen=True, slots=True)
class PhotoCounts:
    """How many photos a session has. Photos on their way count as photos, refused ones do not."""

    photos: int = 0
    on_their_way: int = 0
    too_large: int = 0
    refused: int = 0
    #: Photos that were sent more than once.
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class SentPhoto:
    media: Media
    caption: str


@dataclass(frozen=True, slots=True)
class Summary:
    """One session as the business gets it."""

    session: PhotoSession
    #: The distinct ones that are or will be available, by the provider's time.
    photos: tuple[SentPhoto, ...]
    #: Those that will not be available, by the provider's time; each says why.
    refused: tuple[Media, ...]
    counts: PhotoCounts

    def as_data(self, revision: int) -> dict[str, Any]:
        """The stored form: all that ``with_links`` needs, and no link that opens a photo."""
        session = self.session
        expires_at = datetime.now(UTC) + timedelta(
            seconds=settings.SUMMARY_LINK_TTL_SECONDS
        )
        return {
            "id": str(session.id),
            "revision": revision,
            "state": session.state,
            "contact": {
                "id": str(session.contact_id),
                "name": session.contact.name,
                "owners": [owner.owner for owner in session.contact.owners.all()],
            },
            "business": session.business,
            "started_at": _iso(session.started_at),
            "done_at": _iso(session.done_at),
            "submitted_at": _iso(session.ended_at),
            "details": session.details,
            "is_unanswered": session.is_unanswered,
            "photos": [_as_data(photo) for photo in self.photos],
            "refused": [_refused(media) for media in self.refused],
            "counts": {
                "photos": self.counts.photos,
                "on_their_way": self.counts.on_their_way,
                "too_large": self.counts.too_large,
                "refused": self.counts.refused,
                "duplicates": self.counts.duplicates,
            },
            "links_expire_at": int(expires_at.timestamp()),
        }


def with_links(data: Mapping[str, Any]) -> dict[str, Any]:
    """A summary as the business gets it, from ``Summary.as_data``; the same data makes the same
    links.

    Data of earlier releases contains its links already.
    """
    sent = dict(data)
    if "links_expire_at" not in sent:
        return sent
    expires_at = datetime.fromtimestamp(sent.pop("links_expire_at"), UTC)
    sent["photos"] = [_with_link(photo, expires_at) for photo in sent["photos"]]
    sent["text"] = as_text([photo["url"] for photo in sent["photos"]], sent["details"])
    return sent


def without_links(data: Mapping[str, Any]) -> dict[str, Any]:
    """A stored summary for display, also one of an earlier release."""
    photos = [
        {name: value for name, value in photo.items() if name != "url"}
        for photo in data.get("photos", ())
    ]
    return {
        **{name: value for name, value in data.items() if name != "text"},
        "photos": photos,
    }


def as_text(urls: Sequence[str], details: str) -> str:
    """``Photos Provided: url | url``, and the details."""
    lines = [f"Photos Provided: {' | '.join(urls) or 'none'}"]
    if details:
        lines.append(f"Details: {details}")
    return "\n".join(lines)


def essence(data: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes two summaries different: not their links, times, or photos on their way."""
    counts = {
        name: count for name, count in data["counts"].items() if name != "on_their_way"
    }
    # Summaries of earlier releases do not say whether the question was answered.
    is_unanswered = data.get("is_unanswered", False)
    return (
        data["state"],
        [photo["id"] for photo in data["photos"]],
        data["details"],
        is_unanswered,
        counts,
    )


def summarize(session: PhotoSession) -> Summary:
    """The session as it is now."""
    sent = sent_in([session])[session.id]
    captions = _captions(session)
    photos = tuple(
        SentPhoto(media, captions.get(media.id, "")) for media in _distinct(sent)
    )
    refused = tuple(media for media in sent if media.state in REFUSED)
    return Summary(session, photos, refused, counts_of(session, sent))


def sent_in(sessions: Iterable[PhotoSession]) -> dict[UUID, list[Media]]:
    """The photos of each of these sessions, refused ones as well, by the provider's time. One query
    for all of them.
    """
    ids = {
        session.id: [UUID(id) for id in dict.fromkeys(session.media_ids)]
        for session in sessions
    }
    found = Media.objects.in_bulk({id for own in ids.values() for id in own})
    return {
        session: sorted((found[id] for id in own if id in found), key=_by_time)
        for session, own in ids.items()
    }


def counts_of(session: PhotoSession, sent: Sequence[Media]) -> PhotoCounts:
    """The counts of a session whose photos are known from ``sent_in``."""
    distinct = _distinct(sent)
    refused = [media for media in sent if media.state in REFUSED]
    too_large = sum(media.is_too_large for media in refused)
    return PhotoCounts(
        photos=len(distinct),
        on_their_way=sum(
            media.state in (*Media.WAITING, Media.State.MISSING) for media in distinct
        ),
        too_large=too_large,
        refused=len(refused) - too_large,
        duplicates=len(session.media_ids) - len(refused) - len(distinct),
    )


def _distinct(sent: Sequence[Media]) -> list[Media]:
    """Those that are or will be available, the first one of each content."""
    available = [media for media in sent if media.state not in REFUSED]
    first = {_content(media): media for media in reversed(available)}
    return sorted(first.values(), key=_by_time)


def _content(media: Media) -> object:
    """Equal for two files that are the same photo: the digest where there is one."""
    return media.sha256 or media.announced_sha256 or media.id


def _by_time(media: Media) -> tuple[datetime, int, UUID]:
    return media.occurred_at, media.position, media.id


def _captions(session: PhotoSession) -> dict[UUID, str]:
    messages = Message.objects.filter(id__in=session.message_ids).exclude(text="")
    return dict(
        messages.filter(attachments__media__isnull=False).values_list(
            "attachments__media_id", "text"
        )
    )


def _as_data(photo: SentPhoto) -> dict[str, Any]:
    media = photo.media
    return {
        "id": str(media.id),
        # The public address, or "" where a signed link is needed.
        "public_url": public_address(media),
        "link_version": media.link_version,
        "state": media.state,
        "content_type": media.content_type or media.announced_type,
        "size": media.size,
        "sha256": media.sha256 or media.announced_sha256,
        "occurred_at": _iso(media.occurred_at),
        "caption": photo.caption,
    }


def _refused(media: Media) -> dict[str, Any]:
    return {
        "id": str(media.id),
        "reason": media.last_error,
        "occurred_at": _iso(media.occurred_at),
    }


def _with_link(photo: Mapping[str, Any], expires_at: datetime) -> dict[str, Any]:
    sent = dict(photo)
    public_url, version = sent.pop("public_url"), sent.pop("link_version")
    granted = Link(Disposition.INLINE, expires_at)
    return {
        **sent,
        "url": public_url or signing.link_of(UUID(sent["id"]), version, granted),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
