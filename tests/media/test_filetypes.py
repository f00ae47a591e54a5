from __future__ import annotations

import time
import zipfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_app.filetypes import (
    HEAD,
    INLINE,
    UNKNOWN,
    base_type,
    decide_type,
    extension_for,
    looks_like_an_error_page,
    saved_as,
    sniff,
)
from simulator.content import Kind, content

JPEG, PNG, WEBP, MP4, OGG, PDF = (
    content(kind, 1).body
    for kind in (
        Kind.PHOTO,
        Kind.SCREENSHOT,
        Kind.STICKER,
        Kind.VIDEO,
        Kind.VOICE,
        Kind.DOCUMENT,
    )
)
HTML = b"\xef\xbb\xbf \n<!DOCTYPE html><title>Sorry</title>"
SVG = b"<?xml version='1.0'?>\n<!-- a -->\n<!-- b -->\n<svg xmlns='http://www.w3.org/2000/svg'/>"
XML = b"<?xml version='1.0'?><Error/>"
JSON = b'{"error": 1}'
M4A = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42"
DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
APK_TYPE = "application/vnd.android.package-archive"


def archive(*names: str) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name in names:
            zipped.writestr(name, "content")
    return file.getvalue()


@pytest.mark.parametrize(
    ("announced", "body", "type", "differs"),
    [
        ("image/jpeg", JPEG, "image/jpeg", False),
        ("IMAGE/JPEG; q=1", JPEG, "image/jpeg", False),
        ("image/jpg", JPEG, "image/jpeg", False),
        ("image/png", PNG, "image/png", False),
        ("image/webp", WEBP, "image/webp", False),
        ("application/pdf", PDF, "application/pdf", False),
        # One container, several names.
        ("video/mp4", MP4, "video/mp4", False),
        ("audio/mp4", MP4, "audio/mp4", False),
        ("video/3gpp", MP4, "video/3gpp", False),
        ("audio/aac", M4A, "audio/aac", False),
        ("audio/ogg; codecs=opus", OGG, "audio/ogg", False),
        ("audio/opus", OGG, "audio/opus", False),
        (
            DOCX_TYPE,
            archive("[Content_Types].xml", "word/document.xml"),
            DOCX_TYPE,
            False,
        ),
        (APK_TYPE, archive("AndroidManifest.xml"), APK_TYPE, False),
        # Another file than announced: it is what it is.
        ("image/png", JPEG, "image/jpeg", True),
        ("image/jpeg", HTML, "text/html", True),
        ("image/jpeg", SVG, "image/svg+xml", True),
        ("text/plain", SVG, "image/svg+xml", True),
        ("application/pdf", XML, "application/xml", True),
        ("image/jpeg", JSON, "application/json", True),
        ("image/jpeg", archive("a"), "application/zip", True),
        # Nothing announced: the bytes alone tell.
        ("", JPEG, "image/jpeg", False),
        (UNKNOWN, JPEG, "image/jpeg", False),
        ("", b"hello", UNKNOWN, False),
        (UNKNOWN, b"hello", UNKNOWN, False),
        # Bytes that tell nothing: the announced type stands, unless it would show.
        ("text/plain", b"hello", "text/plain", False),
        ("text/csv", b"a,b\n", "text/csv", False),
        ("application/msword", b"\xd0\xcf\x11\xe0", "application/msword", False),
        ("image/jpeg", b"hello", UNKNOWN, True),
        ("image/unheard-of", b"hello", UNKNOWN, True),
        ("audio/mpeg", b"", UNKNOWN, True),
        ("video/mp4", b"\0" * 100, UNKNOWN, True),
        # What is no type at all is none.
        ("text/plain\r\nX-Evil: 1", b"hello", UNKNOWN, False),
        ("документ/файл", b"hello", UNKNOWN, False),
        ("text/" + "x" * 200, b"hello", UNKNOWN, False),
        ("nonsense", JPEG, "image/jpeg", False),
    ],
)
def test_a_file_is_what_its_bytes_say_and_else_what_was_announced(
    announced: str, body: bytes, type: str, differs: bool
) -> None:
    assert decide_type(announced, sniff(body[:HEAD])) == (type, differs)


@given(st.text(), st.sampled_from([JPEG, HTML, SVG, JSON, b"", b"hello"]))
def test_whatever_was_announced_the_type_fits_a_header_and_the_row(
    announced: str, body: bytes
) -> None:
    type, _ = decide_type(announced, sniff(body))
    assert type.isascii() and type.isprintable() and 0 < len(type) <= 200


@given(
    st.sampled_from(sorted(INLINE)),
    st.sampled_from([HTML, SVG, XML, JSON, b"hello", b"", PDF]),
)
def test_nothing_is_shown_inline_that_does_not_look_like_it(
    announced: str, body: bytes
) -> None:
    assert decide_type(announced, sniff(body))[0] not in INLINE


def test_nothing_that_a_browser_would_run_is_shown_inline() -> None:
    assert not INLINE & {
        "text/html",
        "image/svg+xml",
        "application/xml",
        "application/pdf",
        "text/plain",
        UNKNOWN,
    }


@pytest.mark.parametrize(
    ("announced", "extension"),
    [
        ("image/jpeg", "jpeg"),
        ("image/jpg", "jpeg"),
        ("IMAGE/PNG", "png"),
        ("audio/ogg; codecs=opus", "ogg"),
        ("video/3gpp", "3gp"),
        ("application/pdf", "pdf"),
        (DOCX_TYPE, "docx"),
        ("application/x-msdownload", "bin"),
        ("../../etc/passwd", "bin"),
        ("", "bin"),
    ],
)
def test_an_announced_type_has_one_extension(announced: str, extension: str) -> None:
    assert extension_for(announced) == extension


@pytest.mark.parametrize(
    ("content_type", "base"),
    [
        ("Audio/OGG ; codecs=opus", "audio/ogg"),
        ("", ""),
        (";", ""),
        ("a/b/c", ""),
        ("image/", ""),
        ("a b/c", ""),
    ],
)
def test_a_base_type_has_no_parameters(content_type: str, base: str) -> None:
    assert base_type(content_type) == base


@pytest.mark.parametrize(
    ("body", "announced", "suspect"),
    [
        (HTML, "image/jpeg", True),
        (HTML, "", True),
        (HTML, "text/html", False),
        (HTML, "text/plain", False),
        (JSON, "application/pdf", True),
        (b" [1, 2]", "image/jpeg", True),
        (JSON, "application/json; charset=utf-8", False),
        (JSON, "text/html", True),
        (JPEG, "image/png", False),
        (b"{\\rtf1\\ansi", "application/rtf", False),
        (b"", "image/jpeg", False),
    ],
)
def test_an_error_page_is_a_page_that_nobody_announced(
    body: bytes, announced: str, suspect: bool
) -> None:
    assert looks_like_an_error_page(sniff(body), announced) == suspect


@pytest.mark.parametrize(
    "unit",
    [
        b"<!---->",
        b"<!--",
        b" ",
        b"<?xml ?>",
        b"<?xml ",
        b"<!doctype svg ",
        b"{ ",
        b"PK\3\4",
    ],
)
def test_no_bytes_keep_the_sniffing_busy(unit: bytes) -> None:
    # First a little: what doubles with each unit would never come back from more.
    for times in (23, HEAD):
        before = time.process_time()
        sniff((unit * times)[:HEAD])
        assert time.process_time() - before < 0.5


@given(st.binary(max_size=200))
def test_any_bytes_can_be_sniffed(body: bytes) -> None:
    for magic in (
        b"",
        b"PK\3\4",
        b"\0\0\0\x18ftyp",
        b"RIFF",
        b"\x1a\x45\xdf\xa3",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ):
        assert sniff(magic + body) is not None


@pytest.mark.parametrize(
    ("filename", "content_type", "saved"),
    [
        ("kitchen.jpg", "image/jpeg", "kitchen.jpg"),
        ("kitchen.JPEG", "image/jpeg", "kitchen.JPEG"),
        ("kitchen.jpg", "image/png", "kitchen.png"),
        ("invoice.exe", "application/pdf", "invoice.pdf"),
        ("plan.v2.exe", "application/pdf", "plan.v2.pdf"),
        ("photo.html", "image/gif", "photo.gif"),
        ("kitchen.jpg", "text/html", "kitchen.html"),
        ("no ending", "image/jpeg", "no ending.jpeg"),
        ("v1.2 plan", "application/pdf", "v1.2 plan.pdf"),
        ("kitchen.jpeg\u202eexe", "image/jpeg", "kitchen.jpeg\u202eexe.jpeg"),
        # Bytes say nothing of these.
        ("notes.md", "text/plain", "notes.md"),
        ("prices.csv", "text/csv", "prices.csv"),
        ("run.js", "text/plain", "run.txt"),
        ("run.bat", "text/plain", "run.txt"),
        ("drawing.dwg", "application/octet-stream", "drawing.dwg"),
        # Announced as a photo, and is none.
        ("kitchen.jpg", "application/octet-stream", "kitchen.bin"),
        ("setup.jpg", "application/x-msdownload", "setup.bin"),
        ("setup.exe", "application/x-msdownload", "setup.exe"),
        ("song.m4a", "audio/mp4", "song.m4a"),
        ("", "image/jpeg", ""),
    ],
)
def test_a_saved_file_has_the_ending_of_what_it_is(
    filename: str, content_type: str, saved: str
) -> None:
    assert saved_as(filename, content_type) == saved
