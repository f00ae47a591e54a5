"""Where the bytes of a file come from: the storage, or else once from its provider."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from media_app import filetypes, installation
from media_app.access import FileAccess
from media_app.clock import database_now
from media_app.delegation import came_back_from_nginx, delegate
from media_app.models import Media
from media_app.on_demand import SharedFetch, shared_fetch
from media_app.responses.disposition import harmless
from media_app.responses.response import (
    GUARDS,
    File,
    evaluate,
    extent,
    send,
    send_as_it_comes,
)
from media_app.spool import ArrivingFile, Spool
from media_app.storage import StorageError, media_storage
from media_app.timing import VIEWER_RETRY_SECONDS

log = logging.getLogger(__name__)

# With one of these the answer depends on bytes that have not come yet.
_NEEDS_THE_WHOLE = (
    "Range",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and the file that it is about; None where there is no such file."""

    response: HttpResponseBase
    file: File | None = None


def serve(request: HttpRequest, access: FileAccess) -> Answer:
    """The file, whole or in part. 404 where it is not available, 503 with Retry-After where it is
    not available yet.
    """
    try:
        if access.media.is_stored:
            answer = _stored(request, access)
            if answer is not None:
                return answer
        return _fetched(request, access)
    except StorageError as error:
        return Answer(storage_down(access.media, error))


def _stored(request: HttpRequest, access: FileAccess) -> Answer | None:
    """The answer for a stored file; None when it is missing from the storage. Raises
    StorageError.
    """
    media = access.media
    file = _file(request, access, content_type=media.content_type, size=media.size or 0)
    part = evaluate(request, file)
    if isinstance(part, HttpResponseBase):
        return Answer(part, file)
    storage = media_storage()
    give_connection_back()
    delegated = delegate(request, access, file, part, storage)
    if delegated is not None:
        return Answer(delegated, file)
    try:
        opened = storage.open_range(media.key, *extent(file, part))
    except ValueError as error:
        raise StorageError(f"the object is shorter than {file.size} bytes") from error
    if opened is None:
        revive_lost(media)
        return None
    if came_back_from_nginx(request):
        # Without this line nobody would notice that all bytes pass through the web process.
        log.warning(
            "nginx could not send a stored file: may it read the folder, does it reach the bucket?"
        )
    return Answer(send(file, part, opened), file)


def _fetched(request: HttpRequest, access: FileAccess) -> Answer:
    """The answer for a file that is not stored: it is fetched, and the request waits for a while.
    Raises StorageError.
    """
    media = access.media
    if media.state == Media.State.MISSING:
        revive_lost(media)
    if media.state not in Media.WAITING:
        return _unavailable(access)
    with shared_fetch(media.id) as fetch:
        give_connection_back()
        is_plain_get = request.method == "GET" and not any(
            name in request.headers for name in _NEEDS_THE_WHOLE
        )
        fetch.wait(until_large_file_arrives=is_plain_get)
        spool = fetch.spool
        if fetch.media is not None and spool is not None and spool.is_verified:
            return _spooled(request, replace(access, media=fetch.media), spool)
        if is_plain_get and fetch.is_large and spool is not None:
            return _arriving(request, access, fetch, spool)
    media.refresh_from_db()
    if media.is_stored:
        answer = _stored(request, access)
        if answer is not None:
            return answer
    return _unavailable(access)


def _spooled(request: HttpRequest, access: FileAccess, spool: Spool) -> Answer:
    """The answer from the copy that was just put into the storage."""
    content_type = access.media.content_type
    file = _file(request, access, content_type=content_type, size=spool.size)
    part = evaluate(request, file)
    if isinstance(part, HttpResponseBase):
        return Answer(part, file)
    return Answer(send(file, part, spool.part(*extent(file, part))), file)


def _arriving(
    request: HttpRequest, access: FileAccess, fetch: SharedFetch, spool: Spool
) -> Answer:
    """The answer from a copy that still grows."""
    arriving = ArrivingFile(spool, fetch.done.is_set)
    content_type, _ = filetypes.decide_type(
        access.media.announced_type, filetypes.sniff(arriving.head())
    )
    file = _file(request, access, content_type=content_type, size=spool.expected or 0)
    unverified = replace(file, etag="")
    return Answer(send_as_it_comes(unverified, arriving), unverified)


def _file(
    request: HttpRequest, access: FileAccess, *, content_type: str, size: int
) -> File:
    media = access.media
    is_safe = content_type in filetypes.INLINE
    name = harmless(media.filename) or _plain_name(media)
    return File(
        size=size,
        content_type=filetypes.served_as(content_type),
        etag=f'"{media.sha256}"',
        last_modified=media.last_modified,
        filename=filetypes.saved_as(name, content_type),
        is_inline=is_safe and not access.wants_attachment(request),
        max_age=access.max_age(),
    )


def _plain_name(media: Media) -> str:
    """``image-2026-11-20.jpeg``, for a file without a name. It has the suffix of the key, but
    nothing else of it: a key contains the sender's number.
    """
    kind = (media.content_type or media.announced_type).partition("/")[0]
    if kind not in {"image", "video", "audio"}:
        kind = "document"
    return f"{kind}-{media.occurred_at:%Y-%m-%d}{PurePosixPath(media.key).suffix}"


def revive_lost(media: Media) -> None:
    """Make a file pending again whose object the storage does not have. Its row says ``stored``,
    or ``missing`` already.

    Raises StorageError when it is not our storage: then nothing is known of the file.
    """
    installation.check(media_storage())
    log.error("the storage has lost a file", extra={"media": str(media.id)})
    Media.objects.mark_missing(media.id, stored_at=media.stored_at)
    Media.objects.filter(id=media.id, state=Media.State.MISSING).revive()
    media.refresh_from_db()


def _unavailable(access: FileAccess) -> Answer:
    """404, or 503 with Retry-After where the file may come. Staff are told all that is known."""
    media = access.media
    retry_after = None
    if media.state in Media.WAITING:
        retry_after = _seconds_until_next_attempt(media)
        text = "The file is not here yet. Try again in a moment."
    else:
        text = f"The file is not available: {media.get_state_display()}."
    if access.user is not None:
        text = f"{text} {media.last_error}".strip()
    status = 404 if retry_after is None else 503
    return Answer(refuse(status, text, retry_after=retry_after))


def _seconds_until_next_attempt(media: Media) -> int:
    if media.state != Media.State.RETRYING:
        return VIEWER_RETRY_SECONDS
    left = media.next_attempt_at - database_now()
    return max(math.ceil(left.total_seconds()), 1)


def give_connection_back() -> None:
    """Give this thread's database connection back to PostgreSQL's pool before the file is sent.
    SQLite has no pool: the connection stays open.

    Django would do it after the last byte. A slow client takes minutes for that, and a few of them
    would take all connections of the pool.
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
