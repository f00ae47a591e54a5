"""Files for those who may see them: who, which file, then its bytes."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from media_app import jobs
from media_app.access import AccessDeniedError, FileAccess, authorize
from media_app.models import Media, Viewing
from media_app.previews import SIZES, can_preview, stored_preview, waiting
from media_app.responses.conditional import unmet
from media_app.responses.response import GUARDS
from media_app.serving import (
    give_connection_back,
    refuse,
    serve,
    storage_down,
)
from media_app.storage import StorageError
from media_app.timing import BROWSER_CACHE_SECONDS, VIEWER_RETRY_SECONDS

# Three dots on grey.
AWAITED = b"""<svg xmlns="http://www.w3.org/2000/svg" width="320" height="320" viewBox="0 0 32 32">
<rect width="32" height="32" fill="#9ca3af" fill-opacity=".25"/>
<g fill="#9ca3af">
<circle cx="10" cy="16" r="2"/><circle cx="16" cy="16" r="2"/><circle cx="22" cy="16" r="2"/>
</g>
</svg>
"""

# The answers after which a viewer has the file before it: also one that it had already.
_SHOWN = frozenset({200, 206, 302, 304})


# Exempt, because a POST shall be told that only GET and HEAD are allowed, not that it lacks a
# token.
@csrf_exempt
@require_safe
def original(request: HttpRequest, media_id: UUID) -> HttpResponseBase:
    """The file itself, whole or in part: from the storage, else once from its provider.

    404 for those who may not see it and where it is not available, 503 with Retry-After where it is
    not available yet.
    """
    try:
        access = authorize(request, media_id)
    except AccessDeniedError as refusal:
        return refuse(404, str(refusal))
    answer = serve(request, access)
    is_download = answer.file is not None and not answer.file.is_inline
    return _recorded(request, access, answer.response, is_download)


@csrf_exempt
@require_safe
def preview(request: HttpRequest, media_id: UUID) -> HttpResponseBase:
    """A WebP preview for staff, ``?size=320`` (the default) or ``1280``; 404 where there can be
    none.

    Nothing is decoded here: what no worker has made yet is 503 with a picture that says so.
    """
    try:
        access = authorize(request, media_id)
    except AccessDeniedError as refusal:
        return refuse(404, str(refusal))
    media, size = access.media, request.GET.get("size", str(SIZES[0]))
    if access.user is None or size not in map(str, SIZES) or not can_preview(media):
        return refuse(404, "There is no such preview.")
    response = _picture(request, media, int(size))
    if int(size) != SIZES[-1]:
        # The small one is a sign for a file, the large one shows it.
        return response
    return _recorded(request, access, response, access.wants_attachment(request))


def _picture(request: HttpRequest, media: Media, size: int) -> HttpResponseBase:
    headers = {"Cache-Control": f"private, max-age={BROWSER_CACHE_SECONDS}", **GUARDS}
    response = HttpResponse(content_type="image/webp", headers=headers)
    patch_vary_headers(response, ["Cookie"])
    # Weak: another release may draw the same picture with other bytes.
    tag = f'W/"{media.sha256}-{size}"'
    answer = unmet(request, response, etag=tag, last_modified=media.last_modified)
    if answer is not None:
        return answer
    give_connection_back()
    try:
        body = stored_preview(media, size)
    except StorageError as error:
        return storage_down(media, error)
    if body is None:
        return _awaited(request, media)
    response["Content-Length"] = str(len(body))
    response.content = body if request.method == "GET" else b""
    return response


def _awaited(request: HttpRequest, media: Media) -> HttpResponse:
    """The answer for a preview that is not made yet; a worker is asked to make it."""
    if media.preview_error and media.preview_due_at is None:
        return refuse(404, f"There is no preview: {media.preview_error}.")
    if waiting.request(media):
        jobs.enqueue_previews()
    response = refuse(503, "", retry_after=VIEWER_RETRY_SECONDS)
    # Browsers show a picture whatever the status is, and a broken image for a text.
    response["Content-Type"] = "image/svg+xml"
    response.content = AWAITED if request.method == "GET" else b""
    return response


def _recorded(
    request: HttpRequest,
    access: FileAccess,
    response: HttpResponseBase,
    is_download: bool,
) -> HttpResponseBase:
    """Note which member of staff has seen or downloaded the file; a HEAD or a refusal shows
    nothing.
    """
    is_shown = request.method == "GET" and response.status_code in _SHOWN
    try:
        if access.user is not None and is_shown:
            kind = Viewing.Kind.DOWNLOAD if is_download else Viewing.Kind.VIEW
            Viewing.objects.record(access.media.id, access.user, kind)
    except BaseException:
        response.close()
        raise
    give_connection_back()
    return response
