from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from media_app.filetypes import UNKNOWN
from media_app.models import Media
from media_app.storage import media_storage
from tests.media import files
from tests.media.browser import Browser, url
from tests.media.files import Stored

pytestmark = pytest.mark.django_db

PHOTO = files.PHOTO.body
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
State = Media.State


PREVIEW = "media-preview"


def test_the_address_is_the_one_that_is_promised(photo: Media) -> None:
    assert url(photo) == f"/media/{photo.id}/"
    assert url(photo, name=PREVIEW) == f"/media/{photo.id}/preview/"


def test_staff_get_the_file_as_it_came(viewer: Browser, photo: Media) -> None:
    response = viewer.get(url(photo))
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert response["Content-Length"] == str(len(PHOTO))
    assert (response["Accept-Ranges"], response.body) == ("bytes", PHOTO)


def test_a_part_is_that_part_and_head_tells_of_the_whole(
    viewer: Browser, photo: Media
) -> None:
    asked = {"Range": "bytes=100-199"}
    response = viewer.get(url(photo), headers=asked)
    assert (response.status_code, response.body) == (206, PHOTO[100:200])
    assert response["Content-Range"] == f"bytes 100-199/{len(PHOTO)}"
    response = viewer.head(url(photo), headers=asked)
    assert (response.status_code, response.content) == (200, b"")
    assert response["Content-Length"] == str(len(PHOTO))


@pytest.mark.parametrize("name", ["media", PREVIEW])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_files_are_only_read(photo: Media, method: str, name: str) -> None:
    """And nobody is told that a token is missing."""
    browser = Browser(enforce_csrf_checks=True)
    response = browser.generic(method, url(photo, name=name))
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


# --- who ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["media", "media-preview"])
@pytest.mark.parametrize(
    ("may_view", "is_what"),
    [
        (False, {}),
        (False, {"is_staff": True}),
        (True, {"is_staff": False}),
        (True, {"is_active": False}),
    ],
)
def test_for_all_others_there_is_no_such_file(
    client: Browser, photo: Media, staff: User, may_view: bool, is_what: Any, name: str
) -> None:
    assert client.get(url(photo, name=name)).status_code == 404
    who = staff if may_view else User.objects.create_user("carl")
    client.force_login(who)
    User.objects.filter(id=who.id).update(**is_what)
    for method in (client.get, client.head):
        assert method(url(photo, name=name)).status_code == 404


@pytest.mark.parametrize("state", [state for state in State if state != State.STORED])
def test_what_is_not_stored_has_no_preview(
    viewer: Browser, photo: Media, state: State
) -> None:
    Media.objects.update(state=state)
    assert viewer.get(url(photo, name=PREVIEW)).status_code == 404


def test_an_unknown_file_is_not_there(viewer: Browser) -> None:
    assert viewer.get("/media/3fa9c1d2-e4b7-5000-8000-000000000000/").status_code == 404
    assert viewer.get("/media/../../etc/passwd").status_code == 404


# --- what a browser may do with it --------------------------------------------------------


SHOWN = ["image/jpeg", "image/webp", "video/mp4", "audio/ogg"]
DOWNLOADS = ["application/pdf", "text/plain", UNKNOWN, "image/tiff", DOCX]
#: What a page would run.
ACTIVE = ["text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "text/css"]
ACTIVE += ["text/javascript", "application/ecmascript", "text/vbscript"]
ACTIVE += ["application/x-javascript", "application/wasm"]


@pytest.mark.parametrize(
    ("content_type", "disposition", "said"),
    [
        *((each, "inline", each) for each in SHOWN),
        *((each, "attachment", each) for each in DOWNLOADS),
        *((each, "attachment", UNKNOWN) for each in ACTIVE),
    ],
)
def test_only_safe_types_are_shown_and_nothing_can_run(
    viewer: Browser, stored: Stored, content_type: str, disposition: str, said: str
) -> None:
    response = viewer.get(url(stored(b"x", content_type)))
    assert response["Content-Disposition"].partition(";")[0] == disposition
    assert response["Content-Type"] == said


def test_a_download_is_asked_for(viewer: Browser, photo: Media) -> None:
    response = viewer.get(url(photo, "?download=1"))
    assert response["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("asked", [None, "bytes=0-0", "bytes=99999999-"])
def test_nothing_in_a_file_can_run_or_be_kept_by_others(
    viewer: Browser, photo: Media, settings: Settings, asked: str | None
) -> None:
    # Django's own nosniff, for all pages, may be switched off.
    settings.SECURE_CONTENT_TYPE_NOSNIFF = False
    response = viewer.get(url(photo), headers={"Range": asked} if asked else None)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Cache-Control"] in {"private, max-age=3600", "no-store"}
    assert "Cookie" in response["Vary"]


@pytest.mark.parametrize("content_type", ["video/mp4", "audio/ogg"])
def test_a_film_may_ask_for_itself(
    viewer: Browser, stored: Stored, content_type: str
) -> None:
    media = stored(b"x", content_type)
    shown, saved = viewer.get(url(media)), viewer.get(url(media, "?download=1"))
    policy = "default-src 'none'; media-src 'self'; sandbox allow-same-origin"
    assert shown["Content-Security-Policy"] == policy
    assert saved["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("invoice.pdf", 'filename="invoice.pdf"'),
        ("Küche.pdf", "filename*=utf-8''K%C3%BCche.pdf"),
        ('a"b\\c.pdf', 'filename="a\\"bc.pdf"'),
        ("a\r\nSet-Cookie: x=1.pdf", 'filename="aSet-Cookie: x=1.pdf"'),
        ("../../etc/passwd", 'filename="etcpasswd.pdf"'),
        # Not what its sender calls it.
        ("photo\u202egpj.exe", 'filename="photogpj.pdf"'),
    ],
)
def test_a_name_is_only_a_name(
    viewer: Browser, stored: Stored, filename: str, shown: str
) -> None:
    media = stored(b"x", "application/pdf", filename=filename)
    assert viewer.get(url(media))["Content-Disposition"] == f"attachment; {shown}"


@pytest.mark.parametrize("filename", ["", "...", "/", " ", "\u202e"])
def test_a_file_without_a_name_is_called_by_its_kind_and_day(
    viewer: Browser, stored: Stored, filename: str
) -> None:
    """Its key is not told."""
    media = stored(PHOTO, filename=filename)
    name = f"image-{media.occurred_at:%Y-%m-%d}.jpeg"
    assert viewer.get(url(media))["Content-Disposition"] == f'inline; filename="{name}"'


# --- when the bucket has it not -------------------------------------------------------------


@pytest.mark.parametrize("name", ["media", "media-preview"])
def test_a_storage_that_is_down_is_503_and_the_file_is_not_missing(
    viewer: Browser, photo: Media, media_root: Path, name: str
) -> None:
    media_storage()
    shutil.rmtree(media_root)
    response = viewer.get(url(photo, name=name))
    assert (response.status_code, response["Cache-Control"]) == (503, "no-store")
    assert int(response["Retry-After"]) > 0
    photo.refresh_from_db()
    assert photo.state == State.STORED


@pytest.mark.parametrize("asked", [None, "bytes=0-0", "bytes=-1", "bytes=5000-"])
def test_half_an_object_is_503_and_never_half_an_answer(
    viewer: Browser, photo: Media, media_root: Path, asked: str | None
) -> None:
    os.truncate(media_root / photo.key, 1000)
    assert (
        viewer.get(url(photo), headers={"Range": asked} if asked else None).status_code
        == 503
    )


def test_one_byte_of_a_large_file_costs_one_byte(
    viewer: Browser, photo: Media, media_root: Path
) -> None:
    size = 1 << 33
    os.truncate(media_root / photo.key, size)
    Media.objects.update(size=size)

    def read_by_us() -> int:
        counters = dict(
            line.split(": ") for line in Path("/proc/self/io").read_text().splitlines()
        )
        return int(counters["rchar"])

    before = read_by_us()
    response = viewer.get(url(photo), headers={"Range": "bytes=8000000000-8000000000"})
    assert (response.status_code, response.body) == (206, b"\0")
    # Less than the smallest piece that is read of a file: what the database reads is in it, too.
    assert read_by_us() - before < 128 * 1024
