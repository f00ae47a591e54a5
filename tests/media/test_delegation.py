"""Leaving the bytes to nginx or to the bucket: what is left to them, and what is not."""

from __future__ import annotations

from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.db.models.functions import Now
from django.urls import reverse
from pytest_django import Settings

from media_app import signing
from media_app.models import Media, Viewing
from media_app.signing import Disposition
from media_app.storage import media_storage
from tests.media.browser import Browser
from tests.media.files import Announced, Stored

pytestmark = pytest.mark.django_db

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
#: What neither nginx nor a bucket decides as we do.
OURS = [
    {"Range": "bytes=5-2"},
    {"Range": "bytes=0-1,5-6"},
    {"Range": "bytes=0-99999999999999999999999"},
    {"Range": "items=0-5"},
    {"Range": "bytes=0-1", "If-Range": '"other"'},
    {"If-Unmodified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"},
    {"If-Match": "*"},
]
PLAIN: list[dict[str, str]] = [
    {},
    {"Range": "bytes=0-1"},
    {"Range": "Bytes=-5"},
    {"If-None-Match": '"other"'},
]


def url(media: Media, query: str = "") -> str:
    return reverse("media", args=[media.id]) + query


@pytest.fixture
def photo(stored: Stored) -> Media:
    return stored(PHOTO)


@pytest.fixture
def object_(in_a_bucket: None, announced: Announced) -> Media:
    """A photo in a bucket."""
    return _kept(announced(), "image/jpeg")


def _kept(media: Media, content_type: str) -> Media:
    lease = Media.objects.claim()
    assert lease is not None
    media_storage().put(
        media.key,
        BytesIO(PHOTO),
        size=len(PHOTO),
        content_type=content_type,
        metadata={},
    )
    Media.objects.mark_stored(
        lease,
        key=media.key,
        sha256="0" * 64,
        size=len(PHOTO),
        content_type=content_type,
        type_differs=False,
    )
    media.refresh_from_db()
    return media


# --- nginx ------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", PLAIN)
def test_nginx_sends_what_is_plain(
    viewer: Browser, photo: Media, settings: Settings, headers: dict[str, str]
) -> None:
    settings.MEDIA_DELIVERY = "accel"
    response = viewer.get(url(photo), headers=headers)
    assert response["X-Accel-Redirect"] == "/_files/" + photo.key.replace(
        ":", "%3A"
    ).replace("+", "%2B")
    assert (response["ETag"], response["Content-Type"], response.body) == (
        f'"{photo.sha256}"',
        "image/jpeg",
        b"",
    )


@pytest.mark.parametrize("headers", [*OURS, {"X-Accel-Failed": "1"}])
def test_what_takes_a_decision_is_streamed(
    viewer: Browser, photo: Media, settings: Settings, headers: dict[str, str]
) -> None:
    settings.MEDIA_DELIVERY = "accel"
    response = viewer.get(url(photo), headers=headers)
    assert "X-Accel-Redirect" not in response
    assert (response.status_code // 100, response.body) == (2, PHOTO)


def test_a_file_that_nginx_could_not_send_is_logged(
    viewer: Browser, photo: Media, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    viewer.get(url(photo), headers={"X-Accel-Failed": "1"})
    assert not caplog.messages
    settings.MEDIA_DELIVERY = "accel"
    viewer.get(url(photo), headers={"X-Accel-Failed": "1"})
    assert any(
        "nginx could not send a stored file" in message for message in caplog.messages
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If-None-Match": "*"}, 304), ({"Range": "bytes=5000-"}, 416)],
)
def test_what_needs_no_byte_is_answered_here(
    viewer: Browser,
    photo: Media,
    settings: Settings,
    headers: dict[str, str],
    status: int,
) -> None:
    settings.MEDIA_DELIVERY = "accel"
    assert viewer.get(url(photo), headers=headers).status_code == status
    assert viewer.head(url(photo))["Content-Length"] == str(len(PHOTO))


def test_nginx_gets_a_short_lived_path_into_the_bucket(
    viewer: Browser, object_: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "accel"
    response = viewer.get(url(object_))
    assert response["X-Accel-Redirect"] == "/_bucket/cached"
    signed = urlsplit(response["X-Bucket-Path"])
    assert signed.path.startswith("/media/whatsapp%3A%2B")
    assert 0 < int(parse_qs(signed.query)["X-Amz-Expires"][0]) <= 60


def test_large_objects_pass_by_nginxs_cache(
    viewer: Browser, object_: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "accel"
    Media.objects.update(size=4 * 1024 * 1024 + 1)
    assert viewer.get(url(object_))["X-Accel-Redirect"] == "/_bucket/direct"


# --- the bucket -------------------------------------------------------------------------


@pytest.mark.parametrize("headers", PLAIN)
def test_the_bucket_sends_what_is_plain_and_safe(
    viewer: Browser, object_: Media, settings: Settings, headers: dict[str, str]
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    response = viewer.get(url(object_), headers=headers)
    assert (response.status_code, response["Cache-Control"]) == (302, "no-store")
    assert (
        0
        < int(parse_qs(urlsplit(response["Location"]).query)["X-Amz-Expires"][0])
        <= 60
    )
    found = requests.get(response["Location"], timeout=60)
    assert (found.content, found.headers["Content-Type"]) == (PHOTO, "image/jpeg")
    assert found.headers["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize("headers", OURS)
def test_what_takes_a_decision_is_not_redirected(
    viewer: Browser, object_: Media, settings: Settings, headers: dict[str, str]
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    response = viewer.get(url(object_), headers=headers)
    assert (response.status_code // 100, response.body) == (2, PHOTO)


def test_a_download_is_not_redirected(
    viewer: Browser, object_: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    assert viewer.get(url(object_, "?download=1")).body == PHOTO
    link = signing.link(object_, Disposition.ATTACHMENT).partition(settings.PUBLIC_URL)[
        2
    ]
    assert Browser().get(link).body == PHOTO


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "application/pdf"]
)
def test_what_is_not_safe_inline_is_not_redirected(
    viewer: Browser, object_: Media, settings: Settings, content_type: str
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    Media.objects.update(content_type=content_type)
    publish(settings)
    assert viewer.get(url(object_)).status_code == 200


def test_a_folder_has_nowhere_to_redirect_to(
    viewer: Browser, photo: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    publish(settings)
    assert viewer.get(url(photo)).body == PHOTO


def publish(settings: Settings) -> None:
    """The files have complete public copies."""
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = "public", "https://cdn.example"
    Media.objects.update(
        is_public=True,
        public_bucket="public",
        public_key="0000.jpeg",
        published_at=Now(),
    )


def location(browser: Browser, path: str) -> str:
    return str(browser.get(path).headers.get("Location", ""))


def test_whoever_may_see_a_public_file_is_sent_to_its_copy(
    viewer: Browser, object_: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    publish(settings)
    link = signing.link(object_).partition(settings.PUBLIC_URL)[2]
    assert (
        location(viewer, url(object_))
        == location(Browser(), link)
        == "https://cdn.example/0000.jpeg"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"is_public": False},
        {"published_at": None},
        {"public_bucket": "former"},
        {"public_key": ""},
    ],
)
def test_without_a_complete_copy_nobody_is_sent_to_the_public_address(
    viewer: Browser, object_: Media, settings: Settings, change: dict[str, object]
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    publish(settings)
    Media.objects.update(**change)
    assert "X-Amz-Signature" in location(viewer, url(object_))


def test_a_public_address_without_a_bucket_opens_nothing(
    viewer: Browser, object_: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    publish(settings)
    settings.R2_PUBLIC_BUCKET = ""
    assert "X-Amz-Signature" in location(viewer, url(object_))


def test_whoever_comes_by_a_link_learns_neither_key_nor_number(
    object_: Media, settings: Settings
) -> None:
    settings.MEDIA_DELIVERY = "redirect"
    response = Browser().get(signing.link(object_).partition(settings.PUBLIC_URL)[2])
    assert (response.status_code, response.body) == (200, PHOTO)
    said = str(response.headers)
    assert object_.key.rpartition("/")[2] not in said
    assert "14335551212" not in said


# --- who ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["stream", "accel", "redirect"])
def test_who_may_see_what_is_the_same_by_every_way(
    client: Browser, object_: Media, settings: Settings, way: str
) -> None:
    settings.MEDIA_DELIVERY = way
    Media.objects.update(is_public=True)
    for query in ("", "?token=x", "?download=1"):
        assert client.get(url(object_, query)).status_code == 404
    assert client.get(
        signing.link(object_).partition(settings.PUBLIC_URL)[2]
    ).status_code in {200, 302}


@pytest.mark.parametrize("way", ["accel", "redirect"])
def test_what_others_send_is_a_viewing_all_the_same(
    viewer: Browser, object_: Media, settings: Settings, way: str
) -> None:
    settings.MEDIA_DELIVERY = way
    viewer.get(url(object_))
    assert Viewing.objects.get().kind == "view"
