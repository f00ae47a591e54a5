"""Pages that the database keeps waiting end in a 503 that says what happened and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string

from media_app.database_errors import described, is_locked, is_too_slow

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30


class DatabaseUnavailableMiddleware:
    """Answer 503 where a view, or the template of its answer, met a database that is away, locked
    or too slow.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        log.warning(
            "a page could not be answered",
            extra={"path": request.path, "error": described(error)},
        )
        what, remedy = _explained(error)
        # Without a request: what every page shows comes from the database.
        page = render_to_string(
            "503.html",
            {"what": what, "remedy": remedy, "is_write": request.method == "POST"},
        )
        return HttpResponse(
            page, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
        )


def _explained(error: Exception) -> tuple[str, str]:
    """What happened, and what to do."""
    if is_too_slow(error):
        return (
            "The database took too long for this page.",
            "Narrow the search or the filter, then try again.",
        )
    if is_locked(error):
        return (
            "Something else is changing the same data.",
            "Wait a minute, then load the page again.",
        )
    return (
        "The database does not answer, or has no free connection.",
        "Wait a minute, then load the page again. If it stays so, tell whoever runs this hub.",
    )
