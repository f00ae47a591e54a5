"""A PDF of one page (ISO 32000-1), of any size: written block by block, never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from random import Random

_BLOCK = 64 * 1024


def pdf_document(seed: int, size: int = 0) -> Iterator[bytes]:
    """A delivery note with the seed on it; with ``size``, exactly that many bytes.

    Raises ValueError when ``size`` is too small for the page.
    """
    if not size:
        yield from _file(seed, padding=None)
        return
    # Lengths and offsets have a fixed width, so an empty padding tells what the rest takes.
    padding = size - sum(map(len, _file(seed, padding=0)))
    if padding < 0:
        raise ValueError(f"a document needs {size - padding} bytes, not {size}")
    yield from _file(seed, padding=padding)


def _file(seed: int, padding: int | None) -> Iterator[bytes]:
    text = (
        f"BT /F1 28 Tf 72 740 Td (Delivery note {seed}) Tj 0 -40 Td /F1 12 Tf (Thank "
        "you.) Tj ET"
    ).encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    parts = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"]
    parts += [
        b"%d 0 obj\n%s\nendobj\n" % (number, body)
        for number, body in enumerate(objects, 1)
    ]
    offsets = list(accumulate(map(len, parts)))
    yield from parts
    if padding is not None:
        start = b"%d 0 obj\n<< /Length %010d >>\nstream\n" % (len(parts), padding)
        end = b"\nendstream\nendobj\n"
        yield start
        yield from _repeated(seed, padding)
        yield end
        offsets.append(offsets[-1] + len(start) + padding + len(end))
    *places, index = offsets
    yield b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    yield b"".join(b"%010d 00000 n \n" % place for place in places)
    yield b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%010d\n%%%%EOF\n" % (
        len(places) + 1,
        index,
    )


def _repeated(seed: int, size: int) -> Iterator[bytes]:
    block = Random(seed).randbytes(_BLOCK)
    for left in range(size, 0, -_BLOCK):
        yield block if left >= _BLOCK else block[:left]
