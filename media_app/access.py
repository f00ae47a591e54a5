"""Who may see a file: staff with the permission to view it, and whoever holds a signed link to
it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest

from media_app import signing
from media_app.models import Media
from media_app.signing import Disposition, Link, LinkError
from media_app.timing import BROWSER_CACHE_SECONDS


class AccessDeniedError(Exception):
    """For this viewer there is no such file; the text tells no more than the viewer may know."""


@dataclass(frozen=True, slots=True)
class FileAccess:
    """A file, and a viewer who may see it."""

    media: Media
    #: None for whoever came by a link.
    user: User | None
    link: Link | None = None

    def wants_attachment(self, request: HttpRequest) -> bool:
        """Whether the file is to be downloaded rather than shown. A link to a download is never
        more than that.
        """
        if "download" in request.GET:
            return True
        return self.link is not None and self.link.disposition == Disposition.ATTACHMENT

    def max_age(self) -> int:
        """For how many seconds a browser may keep the file: no longer than the link lasts."""
        if self.link is None:
            return BROWSER_CACHE_SECONDS
        left = self.link.expires_at - datetime.now(UTC)
        return min(BROWSER_CACHE_SECONDS, int(left.total_seconds()))


def authorize(request: HttpRequest, media_id: UUID) -> FileAccess:
    """Whoever has a valid link may see its file; staff need no link, and may have one that is not
    valid. Raises AccessDeniedError.
    """
    media = _found(media_id)
    token = request.GET.get("token")
    refusal = signing.REFUSED if token else "There is no such file."
    if media is not None and token:
        with suppress(LinkError):
            return FileAccess(
                media, None, signing.read(token, media, datetime.now(UTC))
            )
    user = request.user
    if (
        isinstance(user, User)
        and user.is_active
        and user.is_staff
        and user.has_perm("media_app.view_media")
        and media is not None
    ):
        return FileAccess(media, user)
    raise AccessDeniedError(refusal)


def _found(media_id: UUID) -> Media | None:
    # In SQL: the ORM takes longer to write this query than the database to answer it, and every
    # small file pays for it.
    id = Media._meta.pk.get_db_prep_value(media_id, connection)
    rows = Media.objects.raw("SELECT * FROM media_app_media WHERE id = %s", [id])
    return next(iter(rows), None)
