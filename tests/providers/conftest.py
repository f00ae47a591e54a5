from __future__ import annotations

import pytest
from pytest_django import Settings

from simulator.provider import SimulatedProvider
from tests.providers.sending_cases import META, TWILIO, ProviderCase


@pytest.fixture
def hub(settings: Settings, provider: SimulatedProvider) -> Settings:
    settings.PUBLIC_URL = "https://hub.example"
    provider.sends.clear()
    return settings


@pytest.fixture(params=[META, TWILIO], ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> ProviderCase:
    chosen: ProviderCase = request.param
    return chosen
