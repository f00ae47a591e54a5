"""The files of a folder: who sent them and when, by their paths, sidecars and cameras."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from media_app.identity import PREVIEWS
from media_app.imports import sidecars
from media_app.imports.exif import taken_at
from media_app.imports.folder import OwnFilesError, folder, refuse_own
from media_app.imports.items import Assumed, BrokenLine, Item, UnreadableError
from media_app.imports.patterns import Pattern
from tests.media.files import OWNER, PHOTO

OTHER = "whatsapp:+14335551213"
COPIED = datetime(2025, 1, 1, tzinfo=UTC)
TAKEN = datetime(2024, 5, 19, 12, 0, 2, tzinfo=UTC)
KEY = "whatsapp:+14335551212/1716120082-0-3fa9c1d2e4b7.jpeg"

Read = Callable[..., list[Item | BrokenLine]]


def camera_photo(**exif: str) -> bytes:
    """A JPEG whose camera says so."""
    said = Image.Exif()
    for name, text in exif.items():
        tag = ExifTags.Base[name]
        if name == "DateTime":
            said[tag] = text
        else:
            said.get_ifd(ExifTags.IFD.Exif)[tag] = text
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=said)
    return file.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """What the reader makes of files with these contents; a dict is JSON."""
    found: list[Item | BrokenLine] = []

    def run(
        files: dict[str, Any], pattern: str = "", owner: str = OWNER
    ) -> list[Item | BrokenLine]:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                content = json.dumps(content).encode()
            path.write_bytes(content)
            os.utime(path, (COPIED.timestamp(), COPIED.timestamp()))
        assumed = Assumed(owner=owner, occurred_at=COPIED, max_bytes=10**6)
        shape = Pattern(pattern) if pattern else None
        found.extend(folder(tmp_path, assumed, shape))
        return found

    yield run
    for each in found:
        if isinstance(each, Item):
            each.close()


def one(found: list[Item | BrokenLine]) -> Item:
    (item,) = found
    assert isinstance(item, Item), item
    return item


def reasons(found: list[Item | BrokenLine]) -> dict[str, str]:
    """By path; "" for what can be read."""
    return {each.path: getattr(each, "reason", "") for each in found}


def test_the_path_says_who_and_when(read: Read) -> None:
    path = "+14335551213/20240519_120002-Zoë.jpeg"
    item = one(read({path: PHOTO.body}, "{owner}/{timestamp}-{persona}.*"))
    assert (item.owner, item.occurred_at, item.time_assumed) == (OTHER, TAKEN, False)
    assert item.details == {"path": path, "persona": "Zoë"}
    assert item.filename == "20240519_120002-Zoë.jpeg"


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("{owner}/{timestamp}*", "a/1716120002 (1).jpg", {"timestamp": "1716120002"}),
        ("**/{owner}/*", "x/y/a/b.jpg", {"owner": "a"}),
        ("IMG-{timestamp}-*", "IMG-20240519-WA0003.jpg", {"timestamp": "20240519"}),
        ("{timestamp}*", "1716120002000.jpg", {"timestamp": "1716120002000"}),
        ("Zoe\u0308/*", "Zo\u00eb/a", {}),
    ],
)
def test_a_pattern_names_parts_of_a_path(
    pattern: str, path: str, values: dict[str, str]
) -> None:
    found = Pattern(pattern).values(path)
    assert found is not None
    assert values.items() <= found.items()


@pytest.mark.parametrize("path", ["a/b/1716120002.jpg", "a/noon.jpg", "1716120002.jpg"])
def test_a_path_of_another_shape_is_broken(path: str) -> None:
    assert Pattern("{owner}/{timestamp}.*").values(path) is None


@pytest.mark.parametrize("text", ["{owner}/{owner}", "{a b}", "{}"])
def test_a_pattern_names_each_part_once(text: str) -> None:
    with pytest.raises(UnreadableError):
        Pattern(text)


def test_the_camera_says_when(read: Read) -> None:
    original = camera_photo(DateTimeOriginal="2024:05:19 12:00:02")
    item = one(read({"Küche.jpg": original}))
    assert (item.occurred_at, item.time_assumed) == (TAKEN, False)
    # The bytes say it already: a copy is the same file.
    assert item.own_id == ""


@pytest.mark.parametrize(
    ("exif", "time"),
    [
        ({"DateTime": "2024:05:19 12:00:02"}, TAKEN),
        (
            {
                "DateTimeOriginal": "2024:05:19 14:00:02",
                "OffsetTimeOriginal": "+02:00",
                "DateTime": "2020:01:01 00:00:00",
            },
            TAKEN,
        ),
        ({"DateTimeOriginal": "0000:00:00 00:00:00"}, None),
        ({"DateTime": ""}, None),
    ],
)
def test_a_cameras_time_is_read(exif: dict[str, str], time: datetime | None) -> None:
    body = BytesIO(camera_photo(**exif))
    assert taken_at(body) == time
    assert body.tell() == 0


def test_damaged_pictures_have_no_time() -> None:
    whole = camera_photo(DateTime="2024:05:19 12:00:02")
    for length in range(0, len(whole), 7):
        taken_at(BytesIO(whole[:length]))
    assert taken_at(BytesIO(whole[:40] + b"\xff" * 100)) is None


def test_the_file_says_when_if_nothing_else_does(read: Read) -> None:
    item = one(read({"a.jpeg": PHOTO.body}))
    assert (item.occurred_at, item.time_assumed, item.own_id) == (COPIED, True, "")


def test_a_sidecar_wins_over_the_camera(read: Read) -> None:
    files = {
        "Takeout/a.jpg": camera_photo(DateTimeOriginal="2020:01:01 00:00:00"),
        "Takeout/a.jpg.supplemental-metadata.json": {
            "title": "a.jpg",
            "description": "the kitchen",
            "imageViews": "3",
            "photoTakenTime": {"timestamp": "1716120002", "formatted": "May 19"},
        },
    }
    item = one(read(files))
    assert (item.occurred_at, item.time_assumed, item.own_id) == (TAKEN, False, None)
    assert item.details == {
        "path": "Takeout/a.jpg",
        "title": "a.jpg",
        "description": "the kitchen",
    }


def test_a_sidecar_of_any_tool_says_more(read: Read) -> None:
    said = {"phone": "14335551213", "prompt": "a kitchen", "seed": 7, "id": "x1"}
    item = one(read({"a.png": PHOTO.body, "a.json": said}, owner=""))
    assert (item.owner, item.own_id) == (OTHER, "x1")
    assert item.details == {"path": "a.png", "prompt": "a kitchen", "seed": "7"}


@pytest.mark.parametrize(
    ("name", "sidecar"),
    [
        ("a.jpg", "a.jpg.json"),
        ("a(1).jpg", "a.jpg(1).json"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("a-edited.jpg", "a.jpg.json"),
        ("a.jpg", "a.jpg.supplemental-met.json"),
        (f"{'x' * 60}.jpg", f"{'x' * 46}.json"),
        ("a.jpg", "a.json"),
    ],
)
def test_a_sidecar_is_found_by_its_name(name: str, sidecar: str) -> None:
    assert sidecars.pairs([name, sidecar, "b.jpg", "b(2).jpg"]) == {name: sidecar}


def test_json_that_is_nobodys_sidecar_is_a_file(read: Read) -> None:
    item = one(read({"list.json": {"a": 1}}))
    assert item.content_type == "application/json"


def test_what_cannot_be_read_is_named(read: Read, tmp_path: Path) -> None:
    (tmp_path / "link.jpeg").symlink_to("/etc/hostname")
    found = read(
        {
            "a.jpeg": PHOTO.body,
            "a.json": b"{",
            "b.jpeg": b"",
            "c.jpeg": b"hello",
            "d": b"\1\2\3",
            "good.jpeg": PHOTO.body,
            ".hidden.jpeg": PHOTO.body,
            ".thumbnails/e.jpeg": PHOTO.body,
            "Thumbs.db": b"x",
        }
    )
    assert reasons(found) == {
        "a.jpeg": "a.json beside it can't be read",
        "b.jpeg": "the file is empty",
        "c.jpeg": "it is said to be image/jpeg, and its bytes are not",
        "d": "the bytes are of no known type, and none is stated",
        "good.jpeg": "",
        "link.jpeg": "it is a link, or no file",
    }
    assert [each.number for each in found] == list(range(1, 7))


def test_our_own_files_are_refused(read: Read) -> None:
    found = read(
        {
            f"copy/{KEY}": PHOTO.body,
            f"copy/{PREVIEWS}{KEY}/320.webp": PHOTO.body,
            "backup/.mediahub": b"an installation",
            "backup/a.jpeg": PHOTO.body,
        }
    )
    ours = "it is a file or a preview of a hub's storage"
    assert reasons(found) == {
        "backup": "the folder is a storage of this program",
        f"copy/{PREVIEWS}{KEY}/320.webp": ours,
        f"copy/{KEY}": ours,
    }


@pytest.mark.parametrize("place", ["", "media", "media/whatsapp:+14335551212"])
def test_a_storage_is_not_imported_into_itself(tmp_path: Path, place: str) -> None:
    media = tmp_path / "media"
    (media / OWNER).mkdir(parents=True)
    with pytest.raises(OwnFilesError):
        refuse_own(tmp_path / place, media)
    refuse_own(tmp_path / place, None)
    (tmp_path / place / ".mediahub").touch()
    with pytest.raises(OwnFilesError):
        refuse_own(tmp_path / place, None)


def test_names_of_any_alphabet_are_kept(read: Read) -> None:
    names = ["Zoë.jpeg", "Zoë/Zoë.jpeg", "кухня 🍳.jpeg", os.fsdecode(b"\xff.jpeg")]
    found = read(dict.fromkeys(names, PHOTO.body))
    assert {each.path for each in found} == {*names[:3], "\ufffd.jpeg"}
    assert not any(reasons(found).values())
