"""Where the bytes of a file come from: the storage first, its provider second, and then only
once.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import PurePosixPath

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from media_app import filetypes, installation
from media_app.access import Visit
from media_app.clock import database_now
from media_app.delivery.disposition import content_disposition, harmless
from media_app.delivery.response import (
    GUARDS,
    File,
    extent,
    send,
    send_as_it_comes,
    settle,
)
from media_app.handover import hand_over, nginx_failed
from media_app.models import Media
from media_app.on_demand import Demand, demanded
from media_app.spool import ArrivingFile, Spool
from media_app.storage import StorageError, media_storage
from media_app.timing import VIEWER_RETRY_SECONDS

log = logging.getLogger(__name__)

# What makes an answer depend on bytes that have not come yet.
_NEEDS_THE_WHOLE = (
    "Range",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
)


def serve(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The file, whole or in part. 404 where it can't be had, 503 with Retry-After while it can't be
    had yet.
    """
    try:
        response = _stored(request, visit) if visit.media.is_stored else None
        return response or _fetched(request, visit)
    except StorageError as error:
        return storage_down(visit.media, error)


def _stored(request: HttpRequest, visit: Visit) -> HttpResponseBase | None:
    """The answer for a stored file; None when the storage has lost it. Raises StorageError."""
    media = visit.media
    file = _file(request, visit, content_type=media.content_type, size=media.size or 0)
    part = settle(request, file)
    if isinstance(part, HttpResponseBase):
        return part
    storage = media_storage()
    give_connection_back()
    if (handed := hand_over(request, visit, file, part, storage)) is not None:
        return handed
    try:
        opened = storage.open_range(media.key, *extent(file, part))
    except ValueError as error:
        raise StorageError(f"the object is shorter than {file.size} bytes") from error
    if opened is None:
        revive_lost(media)
        return None
    if nginx_failed(request):
        # Without this line nobody would notice that all bytes pass through the web process.
        log.warning(
            "nginx could not send a stored file: may it read the folder, does it reach the bucket?"
        )
    return send(file, part, opened)


def _fetched(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The answer for a file that is not stored: as soon as it is, if that is soon. Raises
    StorageError.
    """
    media = visit.media
    if media.state == Media.State.MISSING:
        revive_lost(media)
    if media.state not in Media.WAITING:
        return refuse(404, _reason(visit))
    with demanded(media.id) as demand:
        give_connection_back()
        takes_what_comes = request.method == "GET" and not any(
            name in request.headers for name in _NEEDS_THE_WHOLE
        )
        demand.wait(until_large=takes_what_comes)
        if (
            demand.media is not None
            and demand.spool is not None
            and demand.spool.is_verified
        ):
            return _spooled(request, replace(visit, media=demand.media), demand.spool)
        if takes_what_comes and demand.is_large and demand.spool is not None:
            return _arriving(request, visit, demand, demand.spool)
    media.refresh_from_db()
    if media.is_stored and (response := _stored(request, visit)) is not None:
        return response
    if media.state not in Media.WAITING:
        return refuse(404, _reason(visit))
    return refuse(503, _reason(visit), retry_after=_seconds_until_next_attempt(media))


def _spooled(request: HttpRequest, visit: Visit, spool: Spool) -> HttpResponseBase:
    """The answer from the copy that was just put into the storage."""
    file = _file(request, visit, content_type=visit.media.content_type, size=spool.size)
    part = settle(request, file)
    if isinstance(part, HttpResponseBase):
        return part
    return send(file, part, spool.part(*extent(file, part)))


def _arriving(
    request: HttpRequest, visit: Visit, demand: Demand, spool: Spool
) -> HttpResponseBase:
    """The answer from a copy that still grows."""
    arriving = ArrivingFile(spool, demand.done.is_set)
    content_type, _ = filetypes.settle_type(
        visit.media.announced_type, filetypes.sniff(arriving.head())
    )
    file = _file(
        request,
        visit,
        content_type=content_type,
        size=spool.expected or 0,
        is_known=False,
    )
    return send_as_it_comes(file, arriving)


def _plain_name(media: Media) -> str:
    """``image-2026-11-20.jpeg``, for a file that its sender gave no name. The key, which ends
    alike, is not told.
    """
    family = (media.content_type or media.announced_type).partition("/")[0]
    kind = family if family in {"image", "video", "audio"} else "document"
    return f"{kind}-{media.occurred_at:%Y-%m-%d}{PurePosixPath(media.key).suffix}"


def _file(
    request: HttpRequest,
    visit: Visit,
    *,
    content_type: str,
    size: int,
    is_known: bool = True,
) -> File:
    media = visit.media
    attachment = content_type not in filetypes.INLINE or visit.wants_attachment(request)
    named = harmless(media.filename) or _plain_name(media)
    name = content_disposition(
        filetypes.saved_as(named, content_type), attachment=attachment, otherwise="file"
    )
    return File(
        size=size,
        content_type=filetypes.served_as(content_type),
        etag=f'"{media.sha256}"' if is_known else "",
        last_modified=media.last_modified,
        disposition=name,
        max_age=visit.max_age(),
    )


def revive_lost(media: Media) -> None:
    """The storage has nothing where the row says stored, or said so: from now on the file waits to
    be fetched.

    Raises StorageError when it is not our storage: then nothing is known of the file.
    """
    installation.check(media_storage())
    log.error("the storage has lost a file", extra={"media": str(media.id)})
    Media.objects.mark_missing(media.id, stored_at=media.stored_at)
    Media.objects.filter(id=media.id, state=Media.State.MISSING).revive()
    media.refresh_from_db()


def _reason(visit: Visit) -> str:
    """Why there is no file. Staff are told all that is known."""
    media = visit.media
    if media.state in Media.WAITING:
        text = "The file is not here yet. Try again in a moment."
    else:
        text = f"The file can't be had: {media.get_state_display()}."
    return f"{text} {media.last_error}".strip() if visit.user else text


def _seconds_until_next_attempt(media: Media) -> int:
    if media.state != Media.State.RETRYING:
        return VIEWER_RETRY_SECONDS
    return max(math.ceil((media.next_attempt_at - database_now()).total_seconds()), 1)


def give_connection_back() -> None:
    """To PostgreSQL's pool, now. SQLite's stays open: it is nobody else's.

    Django does it after the last byte, and slow readers take minutes: a few of them would drain the
    pool for webhooks.
    """
    # Inside a transaction (a test's, or ATOMIC_REQUESTS) the connection is still in use.
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def storage_down(media: Media, error: StorageError) -> HttpResponse:
    log.error(
        "a file could not be read", extra={"media": str(media.id), "error": str(error)}
    )
    text = "The storage does not answer. Try again in a moment."
    return refuse(503, text, retry_after=VIEWER_RETRY_SECONDS)


def refuse(status: int, text: str, *, retry_after: int | None = None) -> HttpResponse:
    headers = {"Cache-Control": "no-store", **GUARDS}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return HttpResponse(
        f"{text}\n",
        status=status,
        content_type="text/plain; charset=utf-8",
        headers=headers,
    )
