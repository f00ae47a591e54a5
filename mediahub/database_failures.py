"""Pages that the database can't serve say what happened and what to do, whichever page it is."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string

from media_app.database_errors import described, is_locked, is_too_slow

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30


class DatabaseFailureMiddleware:
    """Answer where a view, or the template of its answer, met an error of the database.

    503 for a database that is away, locked or too slow. 400 for a value outside of what a column
    can hold: a NUL byte in a text, or a number of 100 digits as an id. PostgreSQL refuses them with
    a DataError, SQLite raises an OverflowError; Django's admin checks some of its parameters and
    not the others.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        if isinstance(error, OperationalError | InterfaceError):
            return _unavailable(request, error)
        if isinstance(error, DataError | OverflowError):
            return _impossible_value(request, error)
        return None


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
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


def _impossible_value(request: HttpRequest, error: Exception) -> HttpResponse:
    # A fault of ours may raise the same: the log says where. The error's own text may quote
    # people's values.
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{place.filename}:{place.lineno}"
    log.warning(
        "a value that no row can have",
        extra={"path": request.path, "error": described(error), "at": where},
    )
    text = (
        "The address or the form has a value that no row can have. Go back and choose "
        "another one."
    )
    return HttpResponse(text, status=400, content_type="text/plain")
