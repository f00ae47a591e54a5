"""A hub whose Meta and Twilio are one hostile provider on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

from media_app.sources import FetchTarget
from tests.sources.calls import ACCOUNT
from tests.sources.hostile import HostileProvider


@pytest.fixture
def provider() -> Iterator[HostileProvider]:
    with HostileProvider() as provider:
        yield provider


@pytest.fixture
def elsewhere() -> Iterator[HostileProvider]:
    """Another host than the provider."""
    with HostileProvider() as provider:
        yield provider


@pytest.fixture(autouse=True)
def hub(settings: Settings, provider: HostileProvider) -> Settings:
    settings.META_ACCESS_TOKEN = ["hush-hush"]
    settings.META_GRAPH_URL = provider.base
    settings.META_GRAPH_VERSION = "v25.0"
    settings.META_MEDIA_HOSTS = ["fbsbx.com", provider.host]
    settings.TWILIO_ACCOUNT_SID = ACCOUNT
    settings.TWILIO_AUTH_TOKEN = ["hush-hush"]
    settings.TWILIO_API_KEY = ""
    settings.TWILIO_API_SECRET = []
    settings.TWILIO_API_URL = provider.base
    settings.TWILIO_MEDIA_HOSTS = ["twiliocdn.com", provider.host]
    return settings


@pytest.fixture
def target() -> Callable[..., FetchTarget]:
    """A file that was announced ten minutes ago: a link that Meta sent with it is stale."""

    def make(
        media_id: str = "", url: str = "", account: str = ACCOUNT, minutes: float = 10
    ) -> FetchTarget:
        return FetchTarget(
            account=account,
            provider_media_id=media_id,
            provider_message_id="wamid.1",
            position=0,
            url=url,
            age=timedelta(minutes=minutes),
        )

    return make
