"""Addresses and forms with a value that the database can't hold end in a 400, whichever page they
name.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from media_app.database_errors import described

log = logging.getLogger(__name__)


class ImpossibleValueMiddleware:
    """Answer 400 where a view, or the template of its answer, met a value outside of what a column
    can hold.

    A NUL byte in a text or a number of 100 digits as an id. PostgreSQL refuses them with a
    DataError, SQLite raises an OverflowError; Django's admin checks some of its parameters and not
    the others.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        if not isinstance(error, DataError | OverflowError):
            return None
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
