"""A voice note: Ogg pages (RFC 3533) with Opus packets (RFC 7845), all of them silence."""

from __future__ import annotations

import struct
from random import Random

_PACKETS_A_PAGE = 50
_SAMPLES_A_PACKET = 960
_PRE_SKIP = 312
# One 20 ms frame, mono, full band (RFC 6716 §3.1), whose content decodes to silence.
_SILENCE = b"\xf8\xff\xfe"
_BEGINS, _ENDS = 0x02, 0x04


def opus_voice_note(seed: int) -> bytes:
    """2 to 10 seconds; the seed stands in the tags."""
    count = Random(seed).randrange(100, 500)
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, _PRE_SKIP, 16000, 0, 0)
    pages = [
        _page([head], seed, 0, position=0, flags=_BEGINS),
        _page([_tags(seed)], seed, 1, position=0),
    ]
    for first in range(0, count, _PACKETS_A_PAGE):
        packets = [_SILENCE] * min(_PACKETS_A_PAGE, count - first)
        end = first + len(packets)
        flags = _ENDS if end == count else 0
        pages.append(
            _page(
                packets, seed, len(pages), position=end * _SAMPLES_A_PACKET, flags=flags
            )
        )
    return b"".join(pages)


def _tags(seed: int) -> bytes:
    vendor, title = b"mediahub simulator", f"TITLE=Voice note {seed}".encode()
    return (
        struct.pack("<8sI", b"OpusTags", len(vendor))
        + vendor
        + struct.pack("<II", 1, len(title))
        + title
    )


def _page(
    packets: list[bytes], serial: int, number: int, *, position: int, flags: int = 0
) -> bytes:
    """One page; every packet must be shorter than 255 bytes, so that one lacing value tells its
    length.
    """
    lacing = bytes(len(packet) for packet in packets)
    body = bytes([len(packets)]) + lacing + b"".join(packets)
    start = struct.pack("<4sBBqII", b"OggS", 0, flags, position, serial, number)
    checksum = struct.pack("<I", page_checksum(start + bytes(4) + body))
    return start + checksum + body


def _remainder(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_REMAINDERS = [_remainder(byte) for byte in range(256)]


def page_checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page whose checksum field is zero (not zlib's: nothing reflected or
    inverted).
    """
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _REMAINDERS[value >> 24 ^ byte]
    return value
