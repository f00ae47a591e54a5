"""A video, a voice note and a document: small files of ``samples/``, made unique by a trailer."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

_SAMPLES = Path(__file__).parent / "samples"
_BLOCK = 64 * 1024


def video(seed: int) -> bytes:
    """Two seconds of H.264 in MP4, with free space at the end (ISO/IEC 14496-12 §8.1.2)."""
    trailer = b"video %d" % seed
    box = struct.pack(">I", 8 + len(trailer)) + b"free" + trailer
    return (_SAMPLES / "video.mp4").read_bytes() + box


def voice_note(seed: int) -> bytes:
    """Three seconds of Opus in Ogg. Readers look for the next page and skip the trailer."""
    return (_SAMPLES / "voice.ogg").read_bytes() + b"voice note %d" % seed


def document(seed: int, size: int = 0) -> Iterator[bytes]:
    """A PDF of one page; with ``size``, exactly that many bytes, made block by block.

    A comment before ``startxref`` makes it unique, and as long as it is to be: no offset changes.
    Raises ValueError when ``size`` is too small for the page.
    """
    sample = (_SAMPLES / "document.pdf").read_bytes()
    place = sample.rindex(b"startxref")
    start = sample[:place] + b"%% document %d " % seed
    end = b"\n" + sample[place:]
    padding = 0
    if size:
        padding = size - len(start) - len(end)
    if padding < 0:
        raise ValueError(f"a document needs {size - padding} bytes, not {size}")
    yield start
    yield from _repeated(seed, padding)
    yield end


def _repeated(seed: int, size: int) -> Iterator[bytes]:
    # Hexadecimal: a line break would end the comment.
    block = Random(seed).randbytes(_BLOCK // 2).hex().encode()
    for left in range(size, 0, -_BLOCK):
        yield block[:left]
