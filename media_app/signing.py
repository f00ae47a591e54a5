"""Links to a file for those who have no login: signed, bound to one file and one way of showing it, soon over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from media_app.models import Media


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


def link(media: Media, disposition: Disposition = Disposition.INLINE, *, lasts: timedelta | None = None) -> str:
    """The address of the file with a token that ``lasts`` so long, by default LINK_TTL_SECONDS."""
    expires_at = datetime.now(UTC) + (lasts or timedelta(seconds=settings.LINK_TTL_SECONDS))
    query = urlencode({"token": token(media, Link(disposition, expires_at))})
    return f"{settings.PUBLIC_URL}{reverse('media', args=[media.id])}?{query}"


def token(media: Media, granted: Link) -> str:
    """``inline.1789000000.<signature>``: the time is in seconds since 1970."""
    return _signer(media).sign(f"{granted.disposition}.{int(granted.expires_at.timestamp())}")


def read(text: str, media: Media, now: datetime) -> Link:
    """What the token grants for this file. Raises LinkError."""
    try:
        disposition, _, seconds = _signer(media).unsign(text).partition(".")
        granted = Link(Disposition(disposition), datetime.fromtimestamp(int(seconds), UTC))
    except (BadSignature, ValueError, OverflowError):
        raise LinkError("There is no such file, or the link to it has been withdrawn.") from None
    if granted.expires_at <= now:
        raise LinkError("This link has expired. Ask whoever sent it for a new one.")
    return granted


def _signer(media: Media) -> Signer:
    # The version is what revoking changes; a change of SECRET_KEY ends all links, unless it stays among the fallbacks.
    return Signer(salt=f"media_app.signing:{media.id}:{media.link_version}", sep=".")
