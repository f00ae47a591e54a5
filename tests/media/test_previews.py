from __future__ import annotations

import resource
import struct
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from redis import Redis

from media_app import queues
from media_app.decoding.picture import PictureError, small_pictures
from media_app.models import Media
from media_app.previews import (
    MAX_BYTES,
    SIZES,
    PreviewError,
    can_preview,
    make_previews,
    preview_key,
    stored_preview,
    waiting,
)
from media_app.storage import media_storage
from media_app.views import AWAITED
from simulator.content import Kind, content
from tests.media.bombs import wide_png
from tests.media.browser import Browser
from tests.media.files import Stored
from tests.media.racing import race

RED, BLUE = (254, 0, 0), (0, 0, 254)


def picture(
    format: str = "JPEG", size: tuple[int, int] = (800, 400), *, orientation: int = 1
) -> bytes:
    """Red on the left, blue on the right, with a place and a time in its EXIF."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.DateTime] = "2026:11:20 12:00:00"
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 31.0, 12.0)}
    out = BytesIO()
    image.save(out, format, exif=exif, quality=90)
    return out.getvalue()


def drawing() -> bytes:
    """A picture of a format that photos do not have."""
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "TIFF")
    return out.getvalue()


def small(body: bytes, size: int = 320) -> bytes:
    (made,) = small_pictures(body, [size])
    return made


def look(preview: bytes) -> Image.Image:
    image = Image.open(BytesIO(preview))
    assert image.format == "WEBP"
    return image


def is_near(color: object, other: tuple[int, int, int]) -> bool:
    assert isinstance(color, tuple)
    return all(abs(a - b) < 40 for a, b in zip(color, other, strict=True))


def get(viewer: Browser, media: Media, query: str = "") -> Any:
    return viewer.get(reverse("media-preview", args=[media.id]) + query)


# --- the picture ------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("size", "expected"), [(320, (320, 160)), (1280, (800, 400))])
def test_a_preview_fits_its_size_and_never_grows(
    format: str, size: int, expected: tuple[int, int]
) -> None:
    assert look(small(picture(format), size)).size == expected


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_preview_stands_upright(format: str) -> None:
    """Orientation 6: to be turned clockwise, so the left side comes up."""
    image = look(small(picture(format, orientation=6))).convert("RGB")
    assert image.size == (160, 320)
    assert is_near(image.getpixel((80, 20)), RED)
    assert is_near(image.getpixel((80, 300)), BLUE)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_preview_does_not_tell_where_it_was_taken(
    format: str, orientation: int
) -> None:
    preview = small(picture(format, orientation=orientation))
    assert not look(preview).getexif()
    assert not set(look(preview).info) & {"exif", "xmp", "icc_profile"}
    assert b"2026:11:20" not in preview


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_colour_has_a_preview(mode: str) -> None:
    out = BytesIO()
    source = Image.open(BytesIO(picture()))
    converted = (
        source.convert("L").convert(mode) if mode == "I;16" else source.convert(mode)
    )
    converted.save(out, "JPEG" if mode == "CMYK" else "PNG")
    assert look(small(out.getvalue())).size == (320, 160)


def test_a_transparent_sticker_stays_transparent() -> None:
    preview = look(small(content(Kind.STICKER, 1).body))
    assert preview.mode == "RGBA"
    assert preview.getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7_100, 12_000, 14_000])
def test_a_picture_that_is_too_large_is_refused_before_it_takes_memory(
    side: int,
) -> None:
    body = wide_png(side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(PictureError):
        small(body)
    assert time.process_time() - began < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.filterwarnings("ignore")
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_a_damaged_picture_is_a_preview_or_a_picture_error(
    format: str, data: st.DataObject
) -> None:
    damaged = bytearray(picture(format, (32, 16)))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(
            st.integers(0, 255)
        )
    with suppress(PictureError):
        look(small(bytes(damaged)))


def test_a_place_that_makes_pillow_stumble_is_a_picture_error() -> None:
    """The type of the GPS latitude becomes text, which Pillow writes back without looking."""
    damaged = picture(orientation=6).replace(
        struct.pack(">HHI", 2, 5, 3), struct.pack(">HHI", 2, 2, 3)
    )
    with pytest.raises(PictureError):
        small(damaged)


# --- making them ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_previews_lie_beside_the_originals_and_not_among_them(stored: Stored) -> None:
    media = stored(picture())
    make_previews(media)
    assert [found.key for found in media_storage().list(f"{media.owner}/")] == [
        media.key
    ]
    assert {found.key for found in media_storage().list("previews/")} == {
        preview_key(media, size) for size in SIZES
    }


@pytest.mark.django_db
def test_only_previews_that_are_missing_are_made(
    stored: Stored, media_root: Path
) -> None:
    media = stored(picture())
    make_previews(media)
    (media_root / preview_key(media, 320)).write_bytes(b"made before")
    (media_root / preview_key(media, 1280)).unlink()
    make_previews(media)
    assert stored_preview(media, 320) == b"made before"
    assert look(stored_preview(media, 1280) or b"").size == (800, 400)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [b"", b"no picture", wide_png(12_000), picture()[:1000], drawing()]
)
def test_what_cannot_be_read_has_no_preview(stored: Stored, body: bytes) -> None:
    with pytest.raises(PreviewError):
        make_previews(stored(body))


@pytest.mark.django_db
def test_a_file_that_is_too_large_is_not_read(viewer: Browser, stored: Stored) -> None:
    media = stored(picture())
    media.size = MAX_BYTES + 1
    assert not can_preview(media)
    media.save()
    assert get(viewer, media).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"state": "deleted"}, {"key": "of-another/1.jpg"}])
def test_a_file_that_is_deleted_or_moved_meanwhile_leaves_no_preview(
    change: dict[str, str], stored: Stored
) -> None:
    media = stored(picture())
    Media.objects.update(**change)
    with pytest.raises(PreviewError):
        make_previews(media)
    assert list(media_storage().list("previews/")) == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_it_once(stored: Stored) -> None:
    media = stored(picture())
    race([lambda: make_previews(media)] * 2)
    assert look(stored_preview(media, 320) or b"").size == (320, 160)


# --- the view -----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [Kind.PHOTO, Kind.SCREENSHOT, Kind.STICKER])
def test_a_stored_picture_has_two_previews(
    viewer: Browser, stored: Stored, kind: Kind
) -> None:
    file = content(kind, 1)
    media = stored(file.body, file.content_type)
    make_previews(media)
    for query, side in (("", 320), ("?size=320", 320), ("?size=1280", 1280)):
        response = get(viewer, media, query)
        assert (response.status_code, response["Content-Type"]) == (200, "image/webp")
        assert max(look(response.content).size) <= side
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Cache-Control"] == "private, max-age=3600"


@pytest.mark.django_db
@pytest.mark.parametrize("size", ["321", "", "0", "-1", "abc", "٣٢٠", "320.0"])
def test_there_are_no_other_sizes(viewer: Browser, stored: Stored, size: str) -> None:
    assert get(viewer, stored(picture()), f"?size={size}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "type", ["video/mp4", "application/pdf", "image/gif", "image/svg+xml", ""]
)
def test_other_files_have_no_preview(
    viewer: Browser, stored: Stored, type: str
) -> None:
    assert get(viewer, stored(picture(), type)).status_code == 404


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_web_process_asks_a_worker_and_answers_at_once(
    viewer: Browser, stored: Stored, redis: Redis
) -> None:
    media = stored(picture())
    # As files are that were stored before previews were made by workers.
    Media.objects.update(preview_due_at=None)
    assert {get(viewer, media).status_code for _ in range(3)} == {503}
    response = get(viewer, media)
    assert (response["Retry-After"], response["Cache-Control"]) == ("5", "no-store")
    assert (response["Content-Type"], response.content) == ("image/svg+xml", AWAITED)
    assert (list(waiting.due()), queues.waiting("previews")) == ([media], 1)
    assert list(media_storage().list("previews/")) == []


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_look_asks_no_worker_for_what_was_given_up(
    viewer: Browser, stored: Stored, redis: Redis
) -> None:
    media = stored(b"no picture")
    waiting.mark_done(media, "it takes too long to decode")
    response = get(viewer, media)
    assert (response.status_code, response.content.decode()) == (
        404,
        "There is no preview: it takes too long to decode.\n",
    )
    assert (list(waiting.due()), queues.waiting("previews")) == ([], 0)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_look_leaves_a_file_alone_that_a_worker_has(
    viewer: Browser, stored: Stored
) -> None:
    media = stored(picture())
    waiting.claim()
    assert get(viewer, media).status_code == 503
    assert waiting.claim() is None
