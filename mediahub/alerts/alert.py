"""An alert: what is wrong, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Model

from media_app.admin.badges import Tone


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    url: str
    #: Whose view permission it takes.
    model: type[Model]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    tone: Tone
    #: What is wrong, in a sentence.
    headline: str
    #: What follows from it and what to do.
    advice: str
    links: tuple[Link, ...] = ()
    #: Whether it is wrong at this moment, and shown on every page.
    is_now: bool = True


def counted(count: int, one: str, many: str) -> str:
    """The number with the word for one or for many."""
    word = one if count == 1 else many
    return f"{count} {word}"
