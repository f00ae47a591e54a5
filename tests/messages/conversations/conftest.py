from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.messages.mail import ACCOUNTS


@pytest.fixture(autouse=True)
def photos_begin(photos_begin: None) -> None:
    """In all of these."""


@pytest.fixture
def shop(shop: Shop, settings: Settings, provider: SimulatedProvider) -> Shop:
    """A business that takes sessions in, and providers that take replies."""
    settings.META_APP_SECRET = [ACCOUNTS.meta_app_secret]
    return shop
