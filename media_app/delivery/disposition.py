"""Content-Disposition of RFC 6266 for names that strangers chose."""

from __future__ import annotations

from django.utils.http import content_disposition_header

# Every file system takes in a name of so many characters.
LONGEST = 150


def content_disposition(filename: str, *, attachment: bool, otherwise: str) -> str:
    """The header's value; ``otherwise`` is the name of a file that has none to speak of."""
    return (
        content_disposition_header(attachment, harmless(filename) or otherwise)
        or "attachment"
    )


def harmless(filename: str) -> str:
    """The name without what could name a folder, end a header line or turn the text around; cut
    before its ending.
    """
    readable = "".join(
        sign for sign in filename if sign.isprintable() and sign not in "/\\"
    ).strip(" .")
    stem, dot, ending = readable.rpartition(".")
    if not stem or len(ending) > LONGEST // 2:
        return readable[:LONGEST]
    return stem[: LONGEST - len(dot + ending)] + dot + ending
