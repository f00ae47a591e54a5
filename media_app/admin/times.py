"""Moments and spans as staff read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html


def moment(at: datetime) -> str:
    """In the hub's time zone, on a clock of 24 hours: ``21 Nov 2026, 14:05``."""
    return date_format(timezone.localtime(at), "j M Y, H:i")


def moment_tag(at: datetime | None) -> str:
    """A moment for a page, to the second in its tooltip; "" for none."""
    if at is None:
        return ""
    exact = timezone.localtime(at).isoformat(sep=" ", timespec="seconds")
    return format_html(
        '<time class="moment" datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        exact,
        moment(at),
    )


def moment_of(
    field: str, heading: str, *, assumed: str = ""
) -> Callable[[Any, Any], str]:
    """A column or line of an admin class: one moment of its rows.

    ``assumed`` names the field that says whether the moment is only our own guess.
    """

    @admin.display(description=heading, ordering=field)
    def shown(self: Any, row: Any) -> str:
        tag = moment_tag(getattr(row, field))
        if assumed and getattr(row, assumed):
            return format_html(
                '{} <span class="badge badge-quiet">time of receipt</span>', tag
            )
        return tag

    return shown


def in_words(span: timedelta) -> str:
    """The two largest units, cut off: ``6 d 3 h``, ``3 h 20 min``, ``5 min``, ``40 s``."""
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(span.total_seconds())} s"
