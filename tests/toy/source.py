"""The files of the third provider, as ``media_app/sources/toy.py`` would open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.core.checks import CheckMessage

from media_app.sources.base import FetchTarget, OpenedFile, Wording
from media_app.sources.deadline import Deadline
from media_app.sources.errors import GoneError, UnauthorizedError, UnavailableError
from media_app.sources.hosts import Hosts
from media_app.sources.http import get


class ToySource:
    """A link of the message, opened with the token."""

    name = "toy"
    wording = Wording(name="Toy", setting="TOY_TOKEN")
    announces_early = False
    api_setting = "TOY_API_URL"
    lifetime: timedelta | None = timedelta(days=3)

    def __init__(self, api_url: str, token: str) -> None:
        self._api_url, self._token = api_url, token

    def check_credentials(self) -> list[CheckMessage]:
        return []

    @contextmanager
    def open(self, target: FetchTarget, deadline: Deadline) -> Iterator[OpenedFile]:
        with get(
            target.url,
            hosts=Hosts(base=self._api_url),
            deadline=deadline,
            authorization=f"Bearer {self._token}",
        ) as response:
            response.raise_if_busy("Toy")
            if response.status == 401:
                raise UnauthorizedError("TOY_TOKEN is refused.")
            if response.status == 404:
                raise GoneError("Toy does not have the file.")
            if response.status != 200:
                raise UnavailableError(f"Toy answered {response.status}.")
            yield OpenedFile.arriving(response)
