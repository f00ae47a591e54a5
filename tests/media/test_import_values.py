"""Base64 and times, in each spelling of other systems."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from media_app.imports.encoded import SLICE, decoded
from media_app.imports.items import BrokenError
from media_app.imports.times import moment
from tests.media.files import PHOTO

MB = 1024 * 1024
IMAGE = base64.b64encode(PHOTO.body).decode()


@pytest.mark.parametrize(
    "text",
    [
        "1716120002",
        "1716120002000",
        "1716120002.0",
        "2024-05-19T14:00:02+02:00",
        "2024-05-19T12:00:02Z",
        "2024-05-19 12:00:02",
        "2024:05:19 12:00:02",
        "20240519_120002",
        "20240519120002",
        "2024-05-19 at 12.00.02",
    ],
)
def test_a_time_is_read_in_each_spelling(text: str) -> None:
    assert moment(text) == datetime(2024, 5, 19, 12, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "20241319", "999999999999999", "1e9"])
def test_what_is_no_time_is_broken(text: str) -> None:
    with pytest.raises(BrokenError):
        moment(text)


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        (IMAGE.rstrip("="), ""),
        (base64.urlsafe_b64encode(PHOTO.body).decode(), ""),
        (base64.encodebytes(PHOTO.body).decode(), ""),
        (str(base64.b64encode(PHOTO.body)), ""),
        (f"data:image/jpeg;base64,{IMAGE}", "image/jpeg"),
        (f"data:image/JPEG;name=a.jpg;base64,{IMAGE}", "image/jpeg"),
    ],
)
def test_base64_is_read_in_each_spelling(text: str, content_type: str) -> None:
    file, stated = decoded(text, MB)
    with file:
        assert (file.read(), stated) == (PHOTO.body, content_type)


def test_a_data_uri_may_be_without_base64() -> None:
    file, stated = decoded("data:text/plain;charset=UTF-8,a%20b", MB)
    with file:
        assert (file.read(), stated) == (b"a b", "text/plain")


@pytest.mark.parametrize("size", [SLICE * 3 // 4 + extra for extra in (-1, 0, 1, 2)])
def test_base64_longer_than_a_slice_is_whole(size: int) -> None:
    whole = (PHOTO.body * (size // len(PHOTO.body) + 1))[:size]
    file, _ = decoded(base64.b64encode(whole).decode(), MB)
    with file:
        assert file.read() == whole


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("data:image/png;base64,", "empty"),
        (IMAGE[:41], "cut off"),
        ("not base64!", "not base64"),
        ("Ünicode", "not base64"),
        (f"{IMAGE[:40]}=={IMAGE}", "not base64"),
        ("A" * SLICE * 4, "larger than 1,048,576 bytes"),
        ("A" * (SLICE - 2) + "==" + "AAAA", "after its end"),
    ],
)
def test_what_is_no_base64_is_broken(text: str, why: str) -> None:
    with pytest.raises(BrokenError, match=why):
        decoded(text, MB)
