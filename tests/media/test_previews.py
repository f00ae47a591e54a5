from __future__ import annotations

import resource
import struct
import threading
import time
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from media_app.models import Media
from media_app.previews import MAX_BYTES, PreviewError, can_preview, ensure_preview, preview_key
from media_app.previews.image import image_preview
from media_app.storage import media_storage
from mediahub.simulator.content import Kind, content
from tests.media.browser import Browser
from tests.media.files import Stored
from tests.media.racing import race

RED, BLUE = (254, 0, 0), (0, 0, 254)


def picture(format: str = "JPEG", size: tuple[int, int] = (800, 400), *, orientation: int = 1) -> bytes:
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


def bomb(side: int) -> bytes:
    """A small PNG that is as large as that when it is decoded: one bit for a pixel, and all of them white."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * (1 + (side + 7) // 8) * side, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def drawing() -> bytes:
    """A picture of a format that photos do not have."""
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "TIFF")
    return out.getvalue()


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
def test_a_preview_fits_its_size_and_never_grows(format: str, size: int, expected: tuple[int, int]) -> None:
    assert look(image_preview(BytesIO(picture(format)), size)).size == expected


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_preview_stands_upright(format: str) -> None:
    """Orientation 6: to be turned clockwise, so the left side comes up."""
    image = look(image_preview(BytesIO(picture(format, orientation=6)), 320)).convert("RGB")
    assert image.size == (160, 320)
    assert is_near(image.getpixel((80, 20)), RED)
    assert is_near(image.getpixel((80, 300)), BLUE)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_preview_does_not_tell_where_it_was_taken(format: str, orientation: int) -> None:
    preview = image_preview(BytesIO(picture(format, orientation=orientation)), 320)
    assert not look(preview).getexif()
    assert not set(look(preview).info) & {"exif", "xmp", "icc_profile"}
    assert b"2026:11:20" not in preview


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_colour_has_a_preview(mode: str) -> None:
    out = BytesIO()
    source = Image.open(BytesIO(picture()))
    converted = source.convert("L").convert(mode) if mode == "I;16" else source.convert(mode)
    converted.save(out, "JPEG" if mode == "CMYK" else "PNG")
    assert look(image_preview(out, 320)).size == (320, 160)


def test_a_transparent_sticker_stays_transparent() -> None:
    preview = look(image_preview(BytesIO(content(Kind.STICKER, 1).body), 320))
    assert preview.mode == "RGBA"
    assert preview.getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7_100, 12_000, 14_000])
def test_a_picture_that_is_too_large_is_refused_before_it_takes_memory(side: int) -> None:
    body = bomb(side)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(PreviewError):
        image_preview(BytesIO(body), 320)
    assert time.process_time() - began < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.filterwarnings("ignore")
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_a_damaged_picture_is_a_preview_or_a_preview_error(format: str, data: st.DataObject) -> None:
    damaged = bytearray(picture(format, (32, 16)))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PreviewError):
        look(image_preview(BytesIO(bytes(damaged)), 320))


def test_a_place_that_makes_pillow_stumble_is_a_preview_error() -> None:
    """The type of the GPS latitude becomes text, which Pillow writes back without looking."""
    damaged = picture(orientation=6).replace(struct.pack(">HHI", 2, 5, 3), struct.pack(">HHI", 2, 2, 3))
    with pytest.raises(PreviewError):
        image_preview(BytesIO(damaged), 320)


def test_no_more_than_two_pictures_are_decoded_at_once() -> None:
    """Each may take 200 MB."""
    lock, inside, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    class Watched(BytesIO):
        seen = False

        def read(self, size: int | None = -1) -> bytes:
            nonlocal inside, most
            if not self.seen:
                self.seen = True
                with lock:
                    inside += 1
                    most = max(most, inside)
                # The third never comes in while the two are here; if it could, the barrier would open.
                with suppress(threading.BrokenBarrierError):
                    together.wait(0.3)
            return super().read(size)

    def make() -> None:
        nonlocal inside
        image_preview(Watched(picture()), 320)
        with lock:
            inside -= 1

    race([make] * 3)
    assert most == 2


# --- the view -----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [Kind.PHOTO, Kind.SCREENSHOT, Kind.STICKER])
def test_a_stored_picture_has_two_previews(viewer: Browser, stored: Stored, kind: Kind) -> None:
    file = content(kind, 1)
    media = stored(file.body, file.content_type)
    for query, side in (("", 320), ("?size=320", 320), ("?size=1280", 1280)):
        response = get(viewer, media, query)
        assert (response.status_code, response["Content-Type"]) == (200, "image/webp")
        assert max(look(response.content).size) <= side
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Cache-Control"] == "private, max-age=3600"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["?size=321", "?size=", "?size=0", "?size=-1", "?size=abc", "?size=٣٢٠", "?size=320.0"]
)
def test_there_are_no_other_sizes(viewer: Browser, stored: Stored, query: str) -> None:
    assert get(viewer, stored(picture()), query).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "type", ["video/mp4", "application/pdf", "audio/ogg", "image/gif", "image/svg+xml", "text/html", ""]
)
def test_other_files_have_no_preview(viewer: Browser, stored: Stored, type: str) -> None:
    assert get(viewer, stored(picture(), type)).status_code == 404


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("body", [b"", b"no picture", bomb(12_000), picture()[:1000], drawing()])
def test_what_cannot_be_read_has_no_preview(viewer: Browser, stored: Stored, body: bytes) -> None:
    assert get(viewer, stored(body)).status_code == 404


@pytest.mark.django_db
def test_a_file_that_is_too_large_is_not_read(viewer: Browser, stored: Stored) -> None:
    media = stored(picture())
    media.size = MAX_BYTES + 1
    assert not can_preview(media)
    media.save()
    assert get(viewer, media).status_code == 404


@pytest.mark.django_db
def test_a_preview_is_made_once(viewer: Browser, stored: Stored, media_root: Path) -> None:
    media = stored(picture())
    first = get(viewer, media)
    (media_root / media.key).unlink()
    again = get(viewer, media)
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.django_db
def test_previews_lie_beside_the_originals_and_not_among_them(viewer: Browser, stored: Stored) -> None:
    media = stored(picture())
    get(viewer, media)
    assert [found.key for found in media_storage().list(f"{media.owner}/")] == [media.key]
    assert [found.key for found in media_storage().list("previews/")] == [preview_key(media, 320)]


@pytest.mark.django_db
def test_a_file_that_is_deleted_meanwhile_leaves_no_preview(stored: Stored) -> None:
    media = stored(picture())
    Media.objects.update(state=Media.State.DELETED)
    with pytest.raises(PreviewError):
        ensure_preview(media, 320)
    assert list(media_storage().list("previews/")) == []


@pytest.mark.django_db(transaction=True)
def test_two_viewers_at_once_both_see_it(stored: Stored) -> None:
    media = stored(picture())
    first, second = race([lambda: ensure_preview(media, 320)] * 2)
    assert first == second
