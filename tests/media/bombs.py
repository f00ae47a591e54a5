"""Files of a few kilobytes that cost whoever decodes them minutes or gigabytes, or never let him
end.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from functools import cache
from io import BytesIO

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
END_OF_JPEG = b"\xff\xd9"
START_OF_SCAN = b"\xff\xda"


def png_chunk(name: bytes, data: bytes = b"") -> bytes:
    return (
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
    )


def wide_png(side: int, *, claims_only: bool = False) -> bytes:
    """A PNG of that width and height, all white, one bit for a pixel; or the header of one, and no
    more.
    """
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = 1 if claims_only else side
    data = zlib.compress((b"\0" * (1 + (side + 7) // 8)) * rows, 1)
    return PNG + header + png_chunk(b"IDAT", data) + png_chunk(b"IEND")


@cache
def chunked_png(chunks: int) -> bytes:
    """A PNG of one pixel behind so many chunks that mean nothing: each is a step of an interpreted
    loop.
    """
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return (
        PNG
        + header
        + png_chunk(b"zzZz") * chunks
        + png_chunk(b"IDAT", zlib.compress(b"\0\0"))
        + png_chunk(b"IEND")
    )


def text_png(length: int, texts: int) -> bytes:
    """A PNG of one pixel with compressed texts, each of that length when it is unpacked."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(length), 9))
    return (
        PNG
        + header
        + text * texts
        + png_chunk(b"IDAT", zlib.compress(b"\0\0"))
        + png_chunk(b"IEND")
    )


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG with so many scans, of a few bytes each. Every scan goes over all of its
    pixels.
    """
    out = BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(
        out, "JPEG", progressive=True, quality=50
    )
    whole = out.getvalue()
    last = whole.rfind(START_OF_SCAN)
    more = scans - whole.count(START_OF_SCAN)
    return (
        whole[: -len(END_OF_JPEG)]
        + whole[last : -len(END_OF_JPEG)] * more
        + END_OF_JPEG
    )


def wide_webp(side: int) -> bytes:
    """A WebP of forty bytes."""
    out = BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(
        out, "WEBP", lossless=True, method=0
    )
    return out.getvalue()


def claiming_webp(side: int) -> bytes:
    """A WebP whose canvas is that large, says its header, with one frame of one pixel."""
    one = wide_webp(1)[12:]
    canvas = struct.pack("<I", 0x02) + (side - 1).to_bytes(3, "little") * 2
    frame = bytes(6) + bytes(6) + (100).to_bytes(3, "little") + b"\0" + one
    chunks = _riff(b"VP8X", canvas) + _riff(b"ANIM", bytes(6)) + _riff(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def animated_webp(side: int, frames: int) -> bytes:
    """A sticker that moves, in so many steps."""
    out = BytesIO()
    steps = [
        Image.new("RGB", (side, side), (step % 256, step // 256, 0))
        for step in range(frames)
    ]
    steps[0].save(
        out, "WEBP", save_all=True, append_images=steps[1:], lossless=True, method=0
    )
    return out.getvalue()


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def truncated_jpeg() -> bytes:
    return many_scans(600, 10)[:-40]


def nested_mp4(depth: int) -> bytes:
    """A film whose header is a box in a box in a box …"""
    box = b""
    for _ in range(depth):
        box = struct.pack(">I", 8 + len(box)) + b"moov" + box
    return struct.pack(">I", 16) + b"ftypisom" + bytes(4) + box


def endless_mp4() -> bytes:
    """A film that says of itself that it has 2⁶³ bytes."""
    return (
        struct.pack(">I", 16)
        + b"ftypisom"
        + bytes(4)
        + struct.pack(">I", 1)
        + b"mdat"
        + struct.pack(">Q", 1 << 63)
    )


def packed_pdf(length: int) -> bytes:
    """A document with a stream that unpacks to so many bytes, packed twice."""
    stream = zlib.compress(zlib.compress(bytes(length), 9), 9)
    head = f"<< /Filter [/FlateDecode /FlateDecode] /Length {len(stream)} >>"
    return (
        b"%PDF-1.4\n1 0 obj\n"
        + head.encode()
        + b"\nstream\n"
        + stream
        + b"\nendstream\nendobj\n%%EOF\n"
    )


def packed_docx(length: int) -> bytes:
    """A document of that length when it is unpacked."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", bytes(length))
    return out.getvalue()
