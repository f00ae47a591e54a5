"""Files for those who may see them: who, which file, then its bytes."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from media_app import filetypes
from media_app.delivery.response import respond
from media_app.models import Media
from media_app.previews import SIZES, PreviewError, can_preview, ensure_preview
from media_app.storage import StorageError, media_storage

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10


@require_safe
def original(request: HttpRequest, media_id: UUID) -> HttpResponseBase:
    """The file itself, whole or one range. 404 for those who may not see it, 503 while the storage is down."""
    media = _visible(request, media_id)
    # Nothing below needs the database, save to note that a file is missing.
    storage = media_storage()
    try:
        response = respond(
            method=request.method or "GET",
            range_header=request.headers.get("Range"),
            total=media.size or 0,
            content_type=media.content_type,
            open_bytes=lambda start, stop: storage.open_range(media.key, start, stop),
        )
    except StorageError as error:
        return _storage_down(media, error)
    if response is None:
        Media.objects.mark_missing(media.id)
        raise Http404("The file is not in the bucket any more.")
    inline = media.content_type in filetypes.INLINE and "download" not in request.GET
    response["Content-Disposition"] = content_disposition_header(not inline, _filename(media)) or "attachment"
    return _guarded(response)


@require_safe
def preview(request: HttpRequest, media_id: UUID) -> HttpResponseBase:
    """A WebP preview, ``?size=320`` (the default) or ``1280``; 404 where there can be none."""
    media = _visible(request, media_id)
    size = request.GET.get("size", str(SIZES[0]))
    if size not in map(str, SIZES) or not can_preview(media):
        raise Http404("There is no such preview.")
    try:
        body = ensure_preview(media, int(size))
    except PreviewError as error:
        raise Http404(f"There is no preview: {error}") from error
    except StorageError as error:
        return _storage_down(media, error)
    response = HttpResponse(body, content_type="image/webp")
    return _guarded(response)


def _visible(request: HttpRequest, media_id: UUID) -> Media:
    """The stored file, for staff with the permission to view it. For all others it does not exist."""
    user = request.user
    if not (user.is_active and user.is_staff and user.has_perm("media_app.view_media")):
        raise Http404("There is no such file.")
    media = get_object_or_404(Media, id=media_id, state=Media.State.STORED)
    _give_connection_back()
    return media


def _give_connection_back() -> None:
    """To PostgreSQL's pool, now. SQLite's stays open: it is nobody else's.

    Django does it after the last byte, and slow readers take minutes: a few of them would drain the pool for webhooks.
    """
    # Inside a transaction (a test's, or ATOMIC_REQUESTS) the connection is still in use.
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def _filename(media: Media) -> str:
    """What to call the download. Strangers named it: nothing in it may name a folder or turn the text around."""
    readable = "".join(sign for sign in media.filename if sign.isprintable() and sign not in "/\\")
    return readable.strip(" .") or media.key.rpartition("/")[2]


def _storage_down(media: Media, error: StorageError) -> HttpResponse:
    log.error("a file could not be read", extra={"media": str(media.id), "error": str(error)})
    text = "The storage does not answer. Try again in a moment."
    response = HttpResponse(text, status=503, content_type="text/plain")
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    return response


def _guarded(response: HttpResponseBase) -> HttpResponseBase:
    """What strangers sent must not run, be guessed at, or be kept by shared caches."""
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "private, max-age=3600")
    return response
