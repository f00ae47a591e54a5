"""The files that the simulator makes are real, and the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import filetype
import pytest

from simulator.content import Kind, content
from tests.programs import program


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


@pytest.mark.parametrize("size", [0, 300_000])
def test_document_offsets_are_right(size: int) -> None:
    body = content(Kind.DOCUMENT, 7, size).body
    index = int(body.rsplit(b"startxref\n", 1)[1].split()[0])
    count = int(body[index:].split()[2])
    places = [int(line[:10]) for line in body[index:].split(b"\n")[3 : 2 + count]]
    assert len(places) == 5
    for number, place in enumerate(places, 1):
        assert body[place:].startswith(b"%d 0 obj" % number)


@pytest.mark.parametrize(
    ("kind", "codec"), [(Kind.VIDEO, "h264"), (Kind.VOICE, "opus")]
)
def test_players_read_samples(tmp_path: Path, kind: Kind, codec: str) -> None:
    file = tmp_path / "sample"
    file.write_bytes(content(kind, 7).body)
    options = ("-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0")
    shown = subprocess.run(
        [program("ffprobe"), *options, file], capture_output=True, text=True, check=True
    )
    assert (shown.stdout.strip(), shown.stderr) == (codec, "")


def test_a_document_is_as_large_as_asked_and_never_held_whole() -> None:
    size = 20 * 1024 * 1024 + 1
    document = content(Kind.DOCUMENT, 7, size)
    lengths = [len(chunk) for chunk in document.chunks()]
    assert (sum(lengths), document.size) == (size, size)
    assert max(lengths) <= 64 * 1024


def test_only_documents_come_in_any_size() -> None:
    with pytest.raises(ValueError, match="photo"):
        content(Kind.PHOTO, 7, 100_000)
