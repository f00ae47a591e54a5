"""How files are opened at their providers."""

from __future__ import annotations

from collections.abc import Mapping

from media_app.sources.base import OpenedFile, Origin, Source
from media_app.sources.deadline import Deadline
from media_app.sources.meta import MetaSource
from media_app.sources.twilio import TwilioSource
from media_app.sources.url import UrlSource

__all__ = ["SOURCES", "Deadline", "OpenedFile", "Origin", "Source", "source"]

SOURCES: Mapping[str, Source] = {
    each.name: each for each in (MetaSource(), TwilioSource(), UrlSource())
}


def source(name: str) -> Source:
    """The source that rows call by this name. Raises ValueError."""
    found = SOURCES.get(name)
    if found is None:
        raise ValueError(f"there is no source {name!r}")
    return found
