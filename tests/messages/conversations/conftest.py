from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.messages.mail import ACCOUNTS


@pytest.fixture(autouse=True)
def photos_begin(settings: Settings) -> None:
    settings.SESSION_START = "photo"


@pytest.fixture
def shop(settings: Settings, provider: SimulatedProvider) -> Iterator[Shop]:
    """A business that takes sessions in, and providers that take replies."""
    with Shop() as shop:
        settings.META_APP_SECRET = [ACCOUNTS.meta_app_secret]
        settings.SESSION_WEBHOOK_URL, settings.SESSION_WEBHOOK_SECRET = (
            shop.url,
            [shop.secret],
        )
        yield shop
