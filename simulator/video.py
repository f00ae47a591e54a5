"""A short MP4 without an encoder: H.264 whose macroblocks carry plain samples (I_PCM).

Players decode it like any other baseline video. Bit layout: ITU-T H.264 §7.3;
boxes: ISO/IEC 14496-12 and 14496-15.
"""

from __future__ import annotations

import struct
from random import Random

from PIL import Image

from simulator.pictures import landscape

_BLOCK = 16
_COLUMNS, _ROWS = 10, 6
_WIDTH, _HEIGHT = _COLUMNS * _BLOCK, _ROWS * _BLOCK
_FRAMES = 8
_FRAME_MILLISECONDS = 250
_DURATION = _FRAMES * _FRAME_MILLISECONDS
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mp4_video(seed: int) -> bytes:
    """Two seconds of a landscape that slides by."""
    scene = landscape(Random(seed), (_WIDTH * 2, _HEIGHT), str(seed))
    step = _WIDTH // _FRAMES
    frames = [
        scene.crop((n * step, 0, n * step + _WIDTH, _HEIGHT)) for n in range(_FRAMES)
    ]
    samples = [_sized(_picture_unit(frame, n)) for n, frame in enumerate(frames)]
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
    # The index names the place of the data, which lies behind the index: its length is known after
    # a first try.
    start = len(kind) + len(_index(samples, 0)) + 8
    return kind + _index(samples, start) + _box(b"mdat", *samples)


# --- H.264 --------------------------------------------------------------------


def _unsigned(value: int) -> str:
    """ue(v), §9.1: as many zeros as the number has bits after its first, then the number plus
    one.
    """
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _aligned(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _unit(header: int, payload: bytes) -> bytes:
    """A NAL unit. Nothing here holds two zeros in a row, so no byte needs to go between
    (§7.4.1).
    """
    return bytes([header]) + payload


def _sequence_unit() -> bytes:
    """Sequence parameters: constrained baseline, level 3.0, output in decoding order."""
    size = _unsigned(_COLUMNS - 1) + _unsigned(_ROWS - 1)
    bits = (
        _unsigned(0)
        + _unsigned(0)
        + _unsigned(2)
        + _unsigned(0)
        + "0"
        + size
        + "11"
        + "0"
        + "0"
        + "1"
    )
    return _unit(0x67, bytes([66, 0xC0, 30]) + _aligned(bits))


def _parameters_unit() -> bytes:
    """Picture parameters: CAVLC, one slice group, deblocking told per slice."""
    bits = (
        _unsigned(0) * 2
        + "00"
        + _unsigned(0) * 3
        + "0"
        + "00"
        + _unsigned(0) * 3
        + "100"
        + "1"
    )
    return _unit(0x68, _aligned(bits))


def _picture_unit(frame: Image.Image, number: int) -> bytes:
    """One frame that needs no other (IDR), each macroblock as 256 + 64 + 64 plain samples."""
    planes = [plane.point(_LEVELS) for plane in frame.convert("YCbCr").split()]
    luma = planes[0]
    blue, red = (plane.resize((_WIDTH // 2, _HEIGHT // 2)) for plane in planes[1:])
    slice_header = (
        _unsigned(0)
        + _unsigned(7)
        + _unsigned(0)
        + "0000"
        + _unsigned(number)
        + "00"
        + "1"
        + _unsigned(1)
    )
    plain = _unsigned(25)
    blocks = (
        _square(luma, x, y, _BLOCK)
        + _square(blue, x, y, _BLOCK // 2)
        + _square(red, x, y, _BLOCK // 2)
        for y in range(_ROWS)
        for x in range(_COLUMNS)
    )
    return _unit(
        0x65, _aligned(slice_header + plain) + _aligned(plain).join(blocks) + b"\x80"
    )


# Video levels: black is 16 and white 235.
_LEVELS = [16 + value * 219 // 255 for value in range(256)]


def _square(plane: Image.Image, column: int, row: int, side: int) -> bytes:
    x, y = column * side, row * side
    return plane.crop((x, y, x + side, y + side)).tobytes()


def _sized(unit: bytes) -> bytes:
    return struct.pack(">I", len(unit)) + unit


# --- MP4 ----------------------------------------------------------------------


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def _full_box(name: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)


def _index(samples: list[bytes], start: int) -> bytes:
    """The ``moov`` box: one video track, all samples in one chunk that begins at ``start``."""
    movie = _full_box(
        b"mvhd",
        struct.pack(">4IIH10x", 0, 0, 1000, _DURATION, 0x10000, 0x100),
        _MATRIX,
        bytes(24),
        struct.pack(">I", 2),
    )
    track = _full_box(
        b"tkhd",
        struct.pack(">5I8x4H", 0, 0, 1, 0, _DURATION, 0, 0, 0, 0),
        _MATRIX,
        struct.pack(">2I", _WIDTH << 16, _HEIGHT << 16),
        flags=3,
    )
    # 0x55C4: the language "und", three letters of five bits.
    clock = _full_box(b"mdhd", struct.pack(">4I2H", 0, 0, 1000, _DURATION, 0x55C4, 0))
    handler = _full_box(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"Video\0")
    data = _box(
        b"dinf", _full_box(b"dref", struct.pack(">I", 1), _full_box(b"url ", flags=1))
    )
    table = _box(
        b"stbl",
        _full_box(b"stsd", struct.pack(">I", 1), _sample_entry()),
        _full_box(b"stts", struct.pack(">3I", 1, len(samples), _FRAME_MILLISECONDS)),
        _full_box(b"stsc", struct.pack(">4I", 1, 1, len(samples), 1)),
        _full_box(
            b"stsz",
            struct.pack(">2I", 0, len(samples)),
            *(struct.pack(">I", len(s)) for s in samples),
        ),
        _full_box(b"stco", struct.pack(">2I", 1, start)),
    )
    information = _box(b"minf", _full_box(b"vmhd", bytes(8), flags=1), data, table)
    return _box(
        b"moov", movie, _box(b"trak", track, _box(b"mdia", clock, handler, information))
    )


def _sample_entry() -> bytes:
    sequence, parameters = _sequence_unit(), _parameters_unit()
    configuration = _box(
        b"avcC",
        bytes([1, *sequence[1:4], 0xFF, 0xE1]),
        struct.pack(">H", len(sequence)) + sequence,
        b"\x01" + struct.pack(">H", len(parameters)) + parameters,
    )
    resolution = 72 << 16
    shape = struct.pack(
        ">16x2H2I4xH32xHh", _WIDTH, _HEIGHT, resolution, resolution, 1, 24, -1
    )
    return _box(b"avc1", struct.pack(">6xH", 1), shape, configuration)
