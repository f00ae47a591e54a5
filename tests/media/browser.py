"""Who looks at files."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from media_app.models import Media


def url(media: Media, query: str = "", *, name: str = "media") -> str:
    """The address of a file, or of its "media-preview"."""
    return reverse(name, args=[media.id]) + query


class Browser(Client):
    """A client that reads every answer to its end, as browsers do. ``response.body`` has it."""

    def request(self, **request: Any) -> Any:
        response: Any = super().request(**request)
        response.body = (
            b"".join(response.streaming_content)
            if response.streaming
            else response.content
        )
        return response

    def begin(self, path: str) -> Any:
        """Ask for a file and read nothing of it yet. Close the answer."""
        return super().request(REQUEST_METHOD="GET", PATH_INFO=path, QUERY_STRING="")

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return super().get(*args, **kwargs)
