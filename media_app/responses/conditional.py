"""Conditional requests of RFC 9110 §13, as rules: what a client already has decides what it
gets.
"""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import parse_http_date_safe


def unmet(
    request: HttpRequest, whole: HttpResponse, *, etag: str, last_modified: datetime
) -> HttpResponseBase | None:
    """The 304 or 412 that the preconditions ask for, None where they hold (§13.2.2, steps 1 to 4).

    ``whole`` is what would be answered otherwise: a 304 repeats its headers.
    """
    answer = get_conditional_response(
        request, etag=etag, last_modified=int(last_modified.timestamp()), response=whole
    )
    if answer is whole:
        return None
    return answer


def range_applies(if_range: str | None, *, etag: str, last_modified: datetime) -> bool:
    """Whether the client's part is one of this very file (§13.1.5): the same strong tag, or exactly
    the same date.
    """
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return if_range == etag
    return parse_http_date_safe(if_range) == int(last_modified.timestamp())
