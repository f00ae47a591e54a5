"""A hub between a hostile provider and a storage that fails, and its clocks, which are moved
instead of waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from simulator.processes import Process, free_port
from tests.faults.hub import Hub
from tests.media.browser import Browser
from tests.servers import rclone_server
from tests.sources.calls import ACCOUNT, SECRET
from tests.sources.hostile import HostileProvider


@pytest.fixture
def elsewhere() -> Iterator[HostileProvider]:
    """A host that this hub has not been told of."""
    with HostileProvider() as provider:
        yield provider


@pytest.fixture
def hub(db: None, settings: Settings) -> Iterator[Hub]:
    """Both vendors' APIs are one hostile provider, the host that their links lead to is another."""
    with HostileProvider() as api, HostileProvider() as cdn:
        api.links = cdn.base
        settings.META_ACCESS_TOKEN = settings.TWILIO_AUTH_TOKEN = [SECRET]
        settings.META_GRAPH_URL = settings.TWILIO_API_URL = api.base
        settings.META_MEDIA_HOSTS = settings.TWILIO_MEDIA_HOSTS = [cdn.host]
        settings.TWILIO_ACCOUNT_SID = ACCOUNT
        settings.TWILIO_API_KEY, settings.TWILIO_API_SECRET = "", []
        yield Hub(api, cdn)


@pytest.fixture
def viewer(db: None) -> Browser:
    """Somebody who may see every file."""
    browser = Browser()
    browser.force_login(User.objects.create_superuser("vera"))
    return browser


@pytest.fixture
def rclone(tmp_path: Path) -> Iterator[Process]:
    """An S3 server of the test's own, to be stopped and killed; its bucket "media" is the folder
    buckets/media.
    """
    server = rclone_server(tmp_path, free_port())
    (tmp_path / "buckets" / "media").mkdir()
    server.start()
    yield server
    server.kill()
