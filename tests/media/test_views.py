from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from pytest_django import Settings

from media_app.models import Media
from media_app.storage import media_storage
from simulator.content import Kind, content
from tests.media.browser import Browser
from tests.media.files import Stored

pytestmark = pytest.mark.django_db

PHOTO = content(Kind.PHOTO, 1).body
State = Media.State


def url(media: Media, name: str = "media") -> str:
    return reverse(name, args=[media.id])


@pytest.fixture
def photo(stored: Stored) -> Media:
    return stored(PHOTO)


def test_the_address_is_the_one_that_is_promised(photo: Media) -> None:
    assert url(photo) == f"/media/{photo.id}/"
    assert url(photo, "media-preview") == f"/media/{photo.id}/preview/"


def test_staff_get_the_file_as_it_came(viewer: Browser, photo: Media) -> None:
    response = viewer.get(url(photo))
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert (response["Content-Length"], response["Accept-Ranges"]) == (
        str(len(PHOTO)),
        "bytes",
    )
    assert response.body == PHOTO


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, None),
        ("bytes=-100", -100, None),
    ],
)
def test_one_range_is_that_part(
    viewer: Browser, photo: Media, asked: str, start: int, stop: int | None
) -> None:
    response = viewer.get(url(photo), headers={"Range": asked})
    part = PHOTO[start:stop]
    first = start % len(PHOTO)
    assert response.status_code == 206
    assert (
        response["Content-Range"]
        == f"bytes {first}-{first + len(part) - 1}/{len(PHOTO)}"
    )
    assert response["Content-Length"] == str(len(part))
    assert response.body == part


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=x",
        "bytes=" + "9" * 7000 + "-1",
    ],
)
def test_a_range_that_means_nothing_here_is_the_whole(
    viewer: Browser, photo: Media, asked: str
) -> None:
    response = viewer.get(url(photo), headers={"Range": asked})
    assert (response.status_code, response.body) == (200, PHOTO)


def test_a_range_outside_is_416(viewer: Browser, photo: Media) -> None:
    response = viewer.get(url(photo), headers={"Range": f"bytes={len(PHOTO)}-"})
    assert (response.status_code, response["Content-Range"]) == (
        416,
        f"bytes */{len(PHOTO)}",
    )
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=99999999-", None])
def test_head_tells_of_the_whole_without_a_body(
    viewer: Browser, photo: Media, asked: str | None
) -> None:
    response = viewer.head(url(photo), headers={"Range": asked} if asked else None)
    assert (response.status_code, response["Content-Length"]) == (200, str(len(PHOTO)))
    assert response.content == b""


@pytest.mark.parametrize("name", ["media", "media-preview"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_files_are_only_read(
    client: Browser, photo: Media, method: str, name: str
) -> None:
    response = getattr(client, method)(url(photo, name))
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("name", ["media", "media-preview"])
def test_a_post_is_told_what_is_allowed_and_not_that_it_lacks_a_token(
    photo: Media, name: str
) -> None:
    response = Browser(enforce_csrf_checks=True).post(url(photo, name))
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


# --- who ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["media", "media-preview"])
@pytest.mark.parametrize(
    "who",
    [
        "nobody",
        "a customer",
        "a customer with the permission",
        "staff",
        "retired staff",
    ],
)
def test_for_all_others_there_is_no_such_file(
    client: Browser, photo: Media, staff: User, who: str, name: str
) -> None:
    match who:
        case "a customer":
            client.force_login(User.objects.create_user("carl"))
        case "a customer with the permission":
            staff.is_staff = False
        case "staff":
            client.force_login(User.objects.create_user("sam", is_staff=True))
        case "retired staff":
            staff.is_active = False
    if who in {"a customer with the permission", "retired staff"}:
        client.force_login(staff)
        staff.save()
    for method in (client.get, client.head):
        assert method(url(photo, name)).status_code == 404
    assert (
        client.get(url(photo, name), headers={"Range": "bytes=0-0"}).status_code == 404
    )


def test_superusers_need_no_permission(client: Browser, photo: Media) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(url(photo)).status_code == 200


@pytest.mark.parametrize("state", [State.EXPIRED, State.REJECTED, State.DELETED])
def test_what_was_given_up_is_not_there(
    viewer: Browser, photo: Media, state: State
) -> None:
    Media.objects.update(state=state)
    response = viewer.get(url(photo))
    assert (response.status_code, response["Cache-Control"]) == (404, "no-store")


@pytest.mark.parametrize("state", [state for state in State if state != State.STORED])
def test_what_is_not_stored_has_no_preview(
    viewer: Browser, photo: Media, state: State
) -> None:
    Media.objects.update(state=state)
    assert viewer.get(url(photo, "media-preview")).status_code == 404


def test_an_unknown_file_is_not_there(viewer: Browser) -> None:
    assert viewer.get("/media/3fa9c1d2-e4b7-5000-8000-000000000000/").status_code == 404
    assert viewer.get("/media/../../etc/passwd").status_code == 404


# --- what a browser may do with it --------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "image/webp", "video/mp4", "audio/ogg"]
)
def test_safe_types_are_shown(
    viewer: Browser, stored: Stored, content_type: str
) -> None:
    response = viewer.get(url(stored(b"x", content_type)))
    assert response["Content-Disposition"].partition(";")[0] == "inline"
    assert response["Content-Type"] == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            "application/pdf",
            "text/plain",
            "text/csv",
            "application/octet-stream",
            "image/tiff",
            "application/msword",
        ),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ],
)
def test_all_others_are_downloads(
    viewer: Browser, stored: Stored, content_type: str
) -> None:
    response = viewer.get(url(stored(b"x", content_type)))
    assert response["Content-Disposition"].partition(";")[0] == "attachment"
    assert response["Content-Type"] == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            "text/html",
            "application/xhtml+xml",
            "image/svg+xml",
            "application/xml",
            "text/xml",
            "text/css",
        ),
        *(
            "text/javascript",
            "application/x-javascript",
            "application/ecmascript",
            "text/vbscript",
            "application/wasm",
        ),
    ],
)
def test_what_a_page_would_run_is_only_bytes(
    viewer: Browser, stored: Stored, content_type: str
) -> None:
    response = viewer.get(url(stored(b"x", content_type)))
    assert response["Content-Disposition"].partition(";")[0] == "attachment"
    assert response["Content-Type"] == "application/octet-stream"


def test_a_download_is_asked_for(viewer: Browser, photo: Media) -> None:
    assert viewer.get(url(photo) + "?download=1")["Content-Disposition"].startswith(
        "attachment"
    )


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
    policy = "default-src 'none'; media-src 'self'; sandbox allow-same-origin"
    assert viewer.get(url(media))["Content-Security-Policy"] == policy
    assert (
        viewer.get(url(media) + "?download=1")["Content-Security-Policy"]
        == "default-src 'none'; sandbox"
    )


def _name(media: Media) -> str:
    """What a file without a name is called: its key is not told."""
    return f"image-{media.occurred_at:%Y-%m-%d}.jpeg"


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
    media = stored(PHOTO, filename=filename)
    assert (
        viewer.get(url(media))["Content-Disposition"]
        == f'inline; filename="{_name(media)}"'
    )


# --- when the bucket has it not -------------------------------------------------------------


@pytest.mark.parametrize("name", ["media", "media-preview"])
def test_a_storage_that_is_down_is_503_and_the_file_is_not_missing(
    viewer: Browser, photo: Media, media_root: Path, name: str
) -> None:
    media_storage()
    shutil.rmtree(media_root)
    response = viewer.get(url(photo, name))
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


def test_an_empty_file_can_be_had(viewer: Browser, stored: Stored) -> None:
    response = viewer.get(url(stored(b"", "text/plain")))
    assert (response.status_code, response["Content-Length"], response.body) == (
        200,
        "0",
        b"",
    )
