"""The files that the simulator makes are real, and the same everywhere."""

from __future__ import annotations

import struct
import subprocess
import sys
from io import BytesIO

import filetype
import pytest
from PIL import ExifTags, Image

from simulator.content import Kind, content
from simulator.voice import page_checksum


@pytest.mark.parametrize("kind", Kind)
def test_a_file_is_recognised_as_what_it_claims_to_be(kind: Kind) -> None:
    assert filetype.guess_mime(content(kind, 7).body) == content(kind, 7).content_type


def test_every_seed_gives_another_file() -> None:
    files = [content(kind, seed).sha256 for kind in Kind for seed in range(5)]
    assert len(set(files)) == len(files)


def test_another_process_makes_the_same_files() -> None:
    program = (
        "from simulator.content import *; print(*(content(kind, 7).sha256 for "
        "kind in Kind))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == [content(kind, 7).sha256 for kind in Kind]


@pytest.mark.parametrize("kind", [Kind.PHOTO, Kind.SCREENSHOT, Kind.STICKER])
def test_pictures_can_be_decoded(kind: Kind) -> None:
    with Image.open(BytesIO(content(kind, 7).body)) as picture:
        picture.load()
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 5


def test_photos_are_of_several_shapes_and_some_lie_on_their_side() -> None:
    shapes, orientations = set(), set()
    for seed in range(40):
        with Image.open(BytesIO(content(Kind.PHOTO, seed).body)) as photo:
            shapes.add(photo.size)
            orientations.add(photo.getexif().get(ExifTags.Base.Orientation))
    assert len(shapes) > 3
    assert orientations == {None, 6}


def frames_of(video: bytes) -> list[bytes]:
    """The units that the index leads to, each without its length."""
    count, *sizes = struct.unpack_from(">9I", video, video.index(b"stsz") + 12)
    (start,) = struct.unpack_from(">I", video, video.index(b"stco") + 12)
    assert (count, start + sum(sizes)) == (8, len(video))
    units = []
    for size in sizes:
        assert struct.unpack_from(">I", video, start) == (size - 4,)
        units.append(video[start + 4 : start + size])
        start += size
    return units


def test_the_index_of_a_video_leads_to_frames_that_need_no_other() -> None:
    assert {frame[0] & 0x1F for frame in frames_of(content(Kind.VIDEO, 7).body)} == {5}


@pytest.mark.parametrize("seed", range(2))
def test_no_byte_of_a_video_frame_looks_like_the_start_of_another_or_is_whiter_than_white(
    seed: int,
) -> None:
    for frame in frames_of(content(Kind.VIDEO, seed).body):
        assert b"\0\0" not in frame
        assert max(frame) <= 240


def test_the_pages_of_a_voice_note_bear_right_checksums() -> None:
    pages = [b"OggS" + page for page in content(Kind.VOICE, 7).body.split(b"OggS")[1:]]
    for page in pages:
        zeroed = page[:22] + bytes(4) + page[26:]
        assert struct.unpack_from("<I", page, 22) == (page_checksum(zeroed),)
    assert b"OpusHead" in pages[0]
    assert b"OpusTags" in pages[1]
    assert pages[0][5] == 2
    assert pages[-1][5] == 4


def test_the_ogg_checksum_is_the_published_one() -> None:
    # CRC-32 with Ogg's parameters (poly 04C11DB7, nothing reflected, init and xor 0) of
    # "123456789".
    assert page_checksum(b"123456789") == 0x89A1897F


@pytest.mark.parametrize("size", [0, 300_000])
def test_the_cross_references_of_a_document_lead_to_its_objects(size: int) -> None:
    document = content(Kind.DOCUMENT, 7, size).body
    index = int(document.rsplit(b"startxref\n", 1)[1].split()[0])
    count = int(document[index:].split()[2])
    places = [int(line[:10]) for line in document[index:].split(b"\n")[3 : 2 + count]]
    assert len(places) == (6 if size else 5)
    for number, place in enumerate(places, 1):
        assert document[place:].startswith(b"%d 0 obj" % number)


def test_a_document_is_as_large_as_asked_and_never_held_whole() -> None:
    size = 20 * 1024 * 1024 + 1
    document = content(Kind.DOCUMENT, 7, size)
    lengths = [len(chunk) for chunk in document.chunks()]
    assert (sum(lengths), document.size) == (size, size)
    assert max(lengths) <= 64 * 1024


def test_a_document_too_small_for_its_page_is_refused() -> None:
    with pytest.raises(ValueError, match="needs"):
        content(Kind.DOCUMENT, 7, 100)


def test_only_documents_come_in_any_size() -> None:
    with pytest.raises(ValueError, match="photo"):
        content(Kind.PHOTO, 7, 100_000)
