"""The hub's addresses, and the views that one writes first: the same access, the file by the next
best call.
"""

from __future__ import annotations

from functools import cache
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.urls import path
from storages.backends.s3 import S3Storage as DjangoS3Storage

from media_app.access import authorize
from media_app.storage import S3Storage, media_storage
from mediahub.urls import urlpatterns as hub


@cache
def _django_storage() -> DjangoS3Storage:
    return DjangoS3Storage(**settings.STORAGES["media"]["OPTIONS"])  # type: ignore[no-untyped-call]


def by_storages(request: HttpRequest, media_id: UUID) -> FileResponse:
    """django-storages' file into Django's response."""
    media = authorize(request, media_id).media
    return FileResponse(
        _django_storage().open(media.key), content_type=media.content_type
    )


def by_boto3(request: HttpRequest, media_id: UUID, chunk: int) -> StreamingHttpResponse:
    """boto3's body into Django's response, in chunks of so many bytes; the client is the
    process's.
    """
    media = authorize(request, media_id).media
    storage = media_storage()
    assert isinstance(storage, S3Storage)
    answer = storage.client.get_object(Bucket=storage.bucket, Key=media.key)
    response = StreamingHttpResponse(
        answer["Body"].iter_chunks(chunk), content_type=media.content_type
    )
    response["Content-Length"] = str(answer["ContentLength"])
    return response


urlpatterns = [
    path("storages/media/<uuid:media_id>/", by_storages),
    path("boto3/<int:chunk>/media/<uuid:media_id>/", by_boto3),
    *hub,
]
