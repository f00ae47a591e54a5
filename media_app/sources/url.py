"""Any file that lies openly on the web."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.core.checks import CheckMessage

from media_app.sources.base import FetchTarget, OpenedFile, Wording
from media_app.sources.deadline import Deadline
from media_app.sources.errors import ForbiddenError, GoneError, UnavailableError
from media_app.sources.hosts import Hosts
from media_app.sources.http import Response, get


class UrlSource:
    """Files by their address: https to any public host, without credentials.

    The ``host:port`` entries of META_MEDIA_HOSTS and TWILIO_MEDIA_HOSTS are allowed
    as they stand here too.
    """

    name = "url"
    wording = Wording(name="url")
    announces_early = True
    api_setting = ""

    def check_credentials(self) -> list[CheckMessage]:
        return []

    lifetime: timedelta | None = None

    @contextmanager
    def open(self, target: FetchTarget, deadline: Deadline) -> Iterator[OpenedFile]:
        """Open ``target.url``, or else the address in ``provider_media_id``. Raises SourceError
        subclasses.
        """
        hosts = Hosts(
            [*settings.META_MEDIA_HOSTS, *settings.TWILIO_MEDIA_HOSTS], anywhere=True
        )
        with get(
            target.url or target.provider_media_id, hosts=hosts, deadline=deadline
        ) as response:
            _require_file(response)
            yield OpenedFile.arriving(response)


def _require_file(response: Response) -> None:
    what = f"The address answered {response.status}."
    response.raise_if_busy("The address")
    if response.status in {404, 410}:
        raise GoneError(what)
    if response.status in {401, 403}:
        raise ForbiddenError(what)
    if response.status != 200:
        raise UnavailableError(what)
