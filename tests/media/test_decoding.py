"""What costs too much to decode: refused from its header, else ended by the kernel."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from io import BytesIO
from tempfile import TemporaryFile

import pytest
from PIL import Image

from media_app.decoding import child, decoder
from media_app.decoding.decoder import (
    CutOffError,
    DecodingError,
    Limits,
    decode_picture,
)
from media_app.decoding.scans import count_scans
from mediahub.env import BASE_DIR
from simulator.content import Kind, content
from tests.media.bombs import (
    animated_webp,
    chunked_png,
    claiming_webp,
    many_scans,
    text_png,
    wide_png,
    wide_webp,
)

PHOTO = content(Kind.PHOTO, 1).body
MIB = 1024 * 1024


def decode(body: bytes, **limits: int) -> list[bytes]:
    with TemporaryFile() as original:
        original.write(body)
        return decode_picture(original, (320, 1280), replace(Limits(), **limits))


@contextmanager
def refused(error: str, kind: type[Exception] = DecodingError) -> Iterator[None]:
    with pytest.raises(kind) as raised:
        yield
    assert str(raised.value) == error


def photo(**options: object) -> bytes:
    out = BytesIO()
    Image.radial_gradient("L").convert("RGB").save(out, "JPEG", **options)
    return out.getvalue()


# --- from the header ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "scans"),
    [
        (photo(), 1),
        (photo(progressive=True), 10),
        (photo(restart_marker_blocks=1), 1),
        (many_scans(16, 64), 64),
        (many_scans(16, 66), 65),
        # A picture behind the end, and one in front, as cameras put them.
        (photo() + photo(progressive=True), 1),
        (
            b"\xff\xd8\xff\xe1"
            + (2 + len(photo())).to_bytes(2, "big")
            + photo()
            + photo()[2:],
            1,
        ),
        (photo()[:-400], 1),
        (b"\xff\xd8", 0),
        (b"\xff\xd8\xff\xe1", 0),
        (b"\xff\xd8" + b"\xff\xe1\x00\x00" * 10, 0),
    ],
)
def test_scans_are_counted(body: bytes, scans: int) -> None:
    assert count_scans(body, stop_after=64) == scans


@pytest.mark.parametrize(
    ("bomb", "error"),
    [
        (lambda: many_scans(2000, 34_000), "it has more than 64 scans"),
        (lambda: wide_png(20_000), "it has too many pixels"),
        (lambda: wide_png(60_000, claims_only=True), "it has too many pixels"),
        (lambda: claiming_webp(16_000), "it has too many pixels"),
        (lambda: text_png(1_000_000, 200), "not a readable picture: ValueError"),
    ],
    ids=["scans", "pixels", "claimed pixels", "canvas", "texts"],
)
def test_a_bomb_is_refused_before_it_is_decoded(
    bomb: Callable[[], bytes], error: str
) -> None:
    """With a second of CPU time: what was decoded would be ended instead, with another reason."""
    with refused(error):
        decode(bomb(), cpu_seconds=1)


def test_of_what_moves_the_first_frame_is_taken() -> None:
    small, large = decode(animated_webp(64, 300))
    for made in (small, large):
        with Image.open(BytesIO(made)) as image:
            assert (image.size, image.n_frames) == ((64, 64), 1)  # type: ignore[attr-defined]
            assert image.convert("RGB").getpixel((32, 32)) == (0, 0, 0)


# --- by the kernel --------------------------------------------------------------------


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux limits the memory of a process"
)
@pytest.mark.parametrize(
    ("bomb", "error"),
    [
        (wide_png(7000), "it takes too much memory to decode"),
        # libwebp does not say that it is memory that it lacks.
        (wide_webp(7000), "not a readable picture: OSError"),
        (claiming_webp(7000), "not a readable picture: OSError"),
    ],
    ids=["png", "forty bytes", "canvas"],
)
def test_a_picture_that_takes_too_much_memory_is_refused(
    bomb: bytes, error: str
) -> None:
    with refused(error):
        decode(bomb, memory=64 * MIB)


def test_a_picture_that_takes_too_long_is_refused() -> None:
    with refused("it takes too long to decode"):
        decode(chunked_png(2_000_000), cpu_seconds=1)


def test_nobody_waits_longer_than_allowed() -> None:
    """A Python does not even start in so short a time."""
    with refused("it was not decoded within 0 seconds", CutOffError):
        decode(PHOTO, seconds=0)


def test_a_child_ends_without_a_worker_that_ends_it() -> None:
    order = json.dumps({"sizes": [320], "limits": asdict(replace(Limits(), seconds=1))})
    waits_for_its_file = subprocess.Popen(
        [sys.executable, "-m", child.__name__, order],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=BASE_DIR,
    )
    with waits_for_its_file as process:
        assert process.wait(60) == -signal.SIGALRM


def test_an_answer_that_is_too_long_is_cut_off() -> None:
    with refused("the decoder ended with status 1", CutOffError):
        decode(PHOTO, output=100)


# --- how it ended -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (-signal.SIGXCPU, DecodingError, "it takes too long to decode"),
        (-signal.SIGSEGV, DecodingError, "the decoder crashed (SIGSEGV)"),
        (-signal.SIGABRT, DecodingError, "the decoder crashed (SIGABRT)"),
        # Whoever runs out of memory may be ended for others.
        (-signal.SIGKILL, CutOffError, "the decoder ended with status -9"),
        (-signal.SIGTERM, CutOffError, "the decoder ended with status -15"),
        (-signal.SIGALRM, CutOffError, "it was not decoded in time"),
        (1, CutOffError, "the decoder ended with status 1"),
    ],
)
def test_an_end_says_whether_to_try_again(
    status: int, error: type[Exception], said: str
) -> None:
    with refused(said, error):
        decoder._judge(status)


WEBP = b"RIFF\x04\0\0\0WEBP"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"[]\n",
        b"7\n",
        b'{"lengths": 7}\n',
        b'{"lengths": ["a"]}\n',
        b'{"lengths": [12]}\n' + WEBP,
        b'{"lengths": [12, 13]}\n' + WEBP * 2,
        b'{"lengths": [12, 12]}\n' + WEBP * 2 + b"more",
        b'{"lengths": [36, -12]}\n' + WEBP * 2,
        b'{"lengths": [12, 12]}\n' + WEBP + b"<html>......",
        b"[" * 100_000 + b"\n",
    ],
)
def test_an_answer_that_is_none_is_a_decoding_error(answer: bytes) -> None:
    with refused("the decoder gave no answer"):
        decoder._pictures(answer, 2)


def test_the_child_has_no_secret_and_little_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for strangers")
    look = (
        "import os, sys, media_app.decoding.child; print([sorted(os.environ), 'django' in "
        "sys.modules])"
    )
    monkeypatch.setattr(decoder, "_COMMAND", (sys.executable, "-c", look))
    with TemporaryFile() as original, TemporaryFile() as answer:
        assert decoder._run("", original, answer, 60) == 0
        answer.seek(0)
        names, has_django = ast.literal_eval(answer.read().decode())
    assert set(names) <= {*decoder._ENVIRONMENT, "LC_CTYPE"}
    assert not has_django
