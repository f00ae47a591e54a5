"""A list of links, one on each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from media_app.details import clean
from media_app.imports.fields import owner_from
from media_app.imports.items import Assumed, BrokenError, BrokenLine, Item
from media_app.imports.lines import lines, opened
from media_app.sources.errors import RefusedAddressError
from media_app.sources.hosts import address_of

MAX_LINK = 4_000


def addresses(path: Path, assumed: Assumed) -> Iterator[Item | BrokenLine]:
    """The files at the links; empty lines and those with # are left out. Raises UnreadableError."""
    with opened(path) as file:
        for number, line in lines(file, MAX_LINK):
            try:
                url = _url(line)
                if url and not url.startswith("#"):
                    yield _item(number, url, assumed)
            except BrokenError as error:
                yield BrokenLine(number=number, reason=str(error))


def _url(line: bytes | None) -> str:
    if line is None:
        raise BrokenError(f"the link is longer than {MAX_LINK:,} bytes")
    try:
        return line.decode().strip()
    except UnicodeDecodeError as error:
        raise BrokenError("the line is not UTF-8") from error


def _item(number: int, url: str, assumed: Assumed) -> Item:
    try:
        address_of(url)
    except RefusedAddressError as error:
        raise BrokenError(str(error)) from error
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return Item(
        number=number,
        url=url,
        owner=owner_from("", assumed),
        occurred_at=assumed.occurred_at,
        time_assumed=True,
        filename=clean(name, 255),
    )
