"""Whose request bodies are read, and how large they may be. Webhooks have limits of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

#: A login form has less than 1 KB.
ANONYMOUS_MAX_BYTES = 64 * 1024


class BodyLimitMiddleware:
    """Refuse what nobody of ours sends before Django parses it: the CSRF check reads a whole body,
    files as well.

    Stands before CsrfViewMiddleware, and after whatever sets ``request.user`` only in the order of
    calls: ``process_view`` runs when all middlewares have seen the request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        # Views without the CSRF check read the body themselves, or not at all.
        if request.method in {"GET", "HEAD"} or getattr(view, "csrf_exempt", False):
            return None
        length = request.META.get("CONTENT_LENGTH") or "0"
        size = 0
        if length.isdecimal():
            size = int(length)
        is_multipart = (
            request.content_type is not None
            and request.content_type.startswith("multipart/")
        )
        is_large = size > ANONYMOUS_MAX_BYTES
        if not is_large and not is_multipart:
            return None
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        if size > limit or (is_large and not request.user.is_authenticated):
            return _refuse(413, "This is more than a form of these pages has.")
        if is_multipart and not request.user.is_authenticated:
            return _refuse(415, "Log in first: without a login no files are taken.")
        return None


def _refuse(status: int, reason: str) -> HttpResponse:
    return HttpResponse(reason, status=status, content_type="text/plain")
