"""Content-Disposition of RFC 6266 for names that strangers chose."""

from __future__ import annotations

from django.utils.http import content_disposition_header

# Every file system accepts a name of so many characters.
MAX_NAME = 150


def content_disposition(filename: str, *, attachment: bool, otherwise: str) -> str:
    """The header's value; ``otherwise`` is for a name of which nothing is left."""
    name = harmless(filename) or otherwise
    return content_disposition_header(attachment, name) or "attachment"


def harmless(filename: str) -> str:
    """The name without what could name a folder, end a header line or turn the text around; cut
    before its ending.
    """
    readable = "".join(
        sign for sign in filename if sign.isprintable() and sign not in "/\\"
    ).strip(" .")
    stem, dot, ending = readable.rpartition(".")
    if not stem or len(ending) > MAX_NAME // 2:
        return readable[:MAX_NAME]
    return stem[: MAX_NAME - len(dot + ending)] + dot + ending
