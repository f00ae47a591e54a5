"""Base64 and data URIs, decoded into temporary files: no second copy of a large file in memory."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import unquote_to_bytes

from media_app.filetypes import base_type
from media_app.imports.items import BrokenError

IN_MEMORY = 2 * 1024 * 1024
SLICE = 1024 * 1024
_DATA_URI = re.compile(r"\s*data:(?P<type>[^,]{0,200}),", re.IGNORECASE)
# What Python's str() makes of bytes.
_PYTHON_BYTES = re.compile(r"\s*b(?P<quote>['\"])")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n"


def decoded(text: str, max_bytes: int) -> tuple[BinaryIO, str]:
    """The bytes of base64 (standard or URL-safe, with or without padding and line breaks) or of a
    data URI, and the type that the URI states. Raises BrokenError.
    """
    start, stop, content_type, is_base64 = 0, len(text), "", True
    if match := _DATA_URI.match(text):
        start = match.end()
        content_type = base_type(match["type"])
        is_base64 = match["type"].lower().rstrip().endswith(";base64")
    elif match := _PYTHON_BYTES.match(text):
        start, stop = match.end(), len(text.rstrip()) - 1
    if (stop - start) * 3 // 4 > max_bytes + SLICE:
        raise BrokenError(f"the file is larger than {max_bytes:,} bytes")
    if is_base64:
        chunks = _of_base64(text, start, stop)
    else:
        chunks = iter([unquote_to_bytes(text[start:stop])])
    return _spooled(chunks), content_type


def _spooled(chunks: Iterator[bytes]) -> BinaryIO:
    file = cast(BinaryIO, SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115
    try:
        for chunk in chunks:
            file.write(chunk)
        if file.tell() == 0:
            raise BrokenError("the file is empty")
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _of_base64(text: str, start: int, stop: int) -> Iterator[bytes]:
    rest, is_over = b"", False
    for at in range(start, stop, SLICE):
        try:
            part = text[at : min(at + SLICE, stop)].encode("ascii")
        except UnicodeEncodeError as error:
            raise BrokenError("the data is not base64") from error
        part = rest + part.translate(_URL_SAFE, _SPACE)
        if is_over and part:
            raise BrokenError("the base64 goes on after its end")
        whole = len(part) - len(part) % 4
        is_over = b"=" in part[:whole]
        rest = part[whole:]
        yield _bytes(part[:whole])
    if is_over and rest:
        raise BrokenError("the base64 goes on after its end")
    rest = rest.rstrip(b"=")
    if len(rest) == 1:
        raise BrokenError("the base64 is cut off")
    if rest:
        yield _bytes(rest.ljust(4, b"="))


def _bytes(part: bytes) -> bytes:
    try:
        return binascii.a2b_base64(part, strict_mode=True)
    except binascii.Error as error:
        raise BrokenError("the data is not base64") from error
