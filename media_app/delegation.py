"""Letting another server send a file to an authorized viewer: nginx, or the bucket itself.

They get only what they do as RFC 9110 says: the whole file, or one plain range of it. All that
takes a decision (conditions, lists of ranges, If-Range, HEAD) has been decided before, or is
streamed from here.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from media_app.access import FileAccess
from media_app.models import Media
from media_app.publication import public_address
from media_app.responses.ranges import ByteRange
from media_app.responses.response import File
from media_app.storage import Storage, StorageError, media_storage

# A link to the bucket needs no login: it lasts as long as a redirect takes.
LINK_SECONDS = 60
# What nginx keeps whole in its cache. Larger files pass through by ranges.
CACHED = 4 * 1024 * 1024

# Conditions that still hold, but nobody else knows the tag that they speak of.
_OURS = ("If-Match", "If-Range", "If-Unmodified-Since")
# nginx refuses numbers that don't fit into 64 bits, where the RFC wants them cut to the file's end.
_PLAIN = re.compile(
    r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})", re.ASCII | re.IGNORECASE
)


def file_origins() -> list[str]:
    """The origins (``https://host``) besides our own that send files to browsers. Asks nobody."""
    if settings.MEDIA_DELIVERY != "redirect":
        return []
    try:
        link = media_storage().url("any", LINK_SECONDS)
    except StorageError:
        link = None
    if link is None:
        return []
    named = (link, settings.R2_PUBLIC_URL)
    addresses = [urlsplit(address) for address in named if address]
    return [f"{address.scheme}://{address.netloc}" for address in addresses]


def delegate(
    request: HttpRequest,
    access: FileAccess,
    file: File,
    part: ByteRange | None,
    storage: Storage,
) -> HttpResponse | None:
    """The answer that makes another server send the file or this part of it; None: it is streamed
    from here.
    """
    if not _is_plain(request, part):
        return None
    if settings.MEDIA_DELIVERY == "accel" and not came_back_from_nginx(request):
        return _to_nginx(access.media, file, storage)
    if settings.MEDIA_DELIVERY == "redirect" and file.is_inline:
        return _to_the_bucket(access, file, storage)
    return None


def came_back_from_nginx(request: HttpRequest) -> bool:
    """Whether nginx has come back with this request because it could not get the file."""
    return settings.MEDIA_DELIVERY == "accel" and "X-Accel-Failed" in request.headers


def _is_plain(request: HttpRequest, part: ByteRange | None) -> bool:
    if any(name in request.headers for name in _OURS):
        return False
    asked = request.headers.get("Range")
    return asked is None or (part is not None and bool(_PLAIN.fullmatch(asked)))


def _to_nginx(media: Media, file: File, storage: Storage) -> HttpResponse:
    """X-Accel-Redirect, for the locations of deploy/nginx.conf.template."""
    headers = file.headers()
    # By another name: nginx would keep it beside that of the refusal where it does not get the
    # file.
    headers["X-File-Cache-Control"] = headers.pop("Cache-Control")
    response = HttpResponse(headers=headers)
    url = storage.url(media.key, LINK_SECONDS)
    if url is None:
        response["X-Accel-Redirect"] = f"/_files/{quote(media.key)}"
        return response
    signed = urlsplit(url)
    location = "cached" if file.size <= CACHED else "direct"
    response["X-Accel-Redirect"] = f"/_bucket/{location}"
    response["X-Bucket-Path"] = f"{signed.path}?{signed.query}"
    return response


def _to_the_bucket(
    access: FileAccess, file: File, storage: Storage
) -> HttpResponse | None:
    url: str | None = public_address(access.media)
    # The bucket's own address holds the key, and that the sender's number: staff see it anyway,
    # others don't.
    if not url and access.user is not None:
        url = storage.url(
            access.media.key,
            LINK_SECONDS,
            content_type=file.content_type,
            disposition=file.disposition,
        )
    if not url:
        return None
    return HttpResponseRedirect(url, headers={"Cache-Control": "no-store"})
