"""Links to a file for people without a login: signed, for one file and one way of showing it, and
expiring.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from media_app.models import Media

#: The same for links that are expired, revoked, forged, or of another file: nobody learns which
#: files there are.
REFUSED = (
    "This link opens no file, or does not any more. Ask whoever sent it for a new one."
)


class Disposition(StrEnum):
    """What a browser is told to do with the file (RFC 6266)."""

    INLINE = "inline"
    ATTACHMENT = "attachment"


class LinkError(Exception):
    """The token opens nothing; the text is for whoever holds it."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a token grants."""

    disposition: Disposition
    expires_at: datetime


def link(
    media: Media,
    disposition: Disposition = Disposition.INLINE,
    *,
    lasts: timedelta | None = None,
) -> str:
    """The address of the file with a token that ``lasts`` so long, by default LINK_TTL_SECONDS."""
    expires_at = datetime.now(UTC) + (
        lasts or timedelta(seconds=settings.LINK_TTL_SECONDS)
    )
    return link_of(media.id, media.link_version, Link(disposition, expires_at))


def link_of(id: UUID, version: int, granted: Link) -> str:
    """The same arguments make the same address, whenever it is made; ``version`` is
    ``Media.link_version``.
    """
    query = urlencode({"token": _token(id, version, granted)})
    return f"{settings.PUBLIC_URL}{reverse('media', args=[id])}?{query}"


def token(media: Media, granted: Link) -> str:
    """``inline.1789000000.<signature>``: the time is in seconds since 1970."""
    return _token(media.id, media.link_version, granted)


def read(text: str, media: Media, now: datetime) -> Link:
    """What the token grants for this file. Raises LinkError."""
    try:
        disposition, _, seconds = (
            _signer(media.id, media.link_version).unsign(text).partition(".")
        )
        granted = Link(
            Disposition(disposition), datetime.fromtimestamp(int(seconds), UTC)
        )
    except (BadSignature, ValueError, OverflowError):
        raise LinkError(REFUSED) from None
    if granted.expires_at <= now:
        raise LinkError(REFUSED)
    return granted


def _token(id: UUID, version: int, granted: Link) -> str:
    return _signer(id, version).sign(
        f"{granted.disposition}.{int(granted.expires_at.timestamp())}"
    )


def _signer(id: UUID, version: int) -> Signer:
    # The version is what revoking changes; a change of SECRET_KEY ends all links, unless it stays
    # among the fallbacks.
    return Signer(salt=f"media_app.signing:{id}:{version}", sep=".")
