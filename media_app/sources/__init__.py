"""How files are opened at their providers."""

from __future__ import annotations

from collections.abc import Mapping

from media_app.sources.base import FetchTarget, OpenedFile, Source
from media_app.sources.deadline import Deadline
from media_app.sources.meta import MetaSource
from media_app.sources.twilio import TwilioSource
from media_app.sources.url import UrlSource

__all__ = [
    "SOURCES",
    "Deadline",
    "FetchTarget",
    "OpenedFile",
    "Source",
    "announces_early",
    "source",
]

SOURCES: Mapping[str, Source] = {
    each.name: each for each in (MetaSource(), TwilioSource(), UrlSource())
}


def source(name: str) -> Source:
    """The source that rows call by this name. Raises ValueError."""
    found = SOURCES.get(name)
    if found is None:
        raise ValueError(f"there is no source {name!r}")
    return found


def announces_early(name: str) -> bool:
    """Whether the source may announce a file before it serves it. False where there is no such
    source: the failure of its file is saved all the same.
    """
    found = SOURCES.get(name)
    return found is not None and found.announces_early
