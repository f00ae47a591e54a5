from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from messages_app.erasing import flow
from simulator.provider import SimulatedProvider
from tests.messages.erasing.world import KEY


@pytest.fixture(autouse=True)
def hub(
    settings: Settings,
    provider: SimulatedProvider,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Both providers, Redis and a key. What was deleted at a provider is there for the next
    test.
    """
    settings.ERASURE_KEY = [KEY]
    monkeypatch.setattr(flow, "_records_compared_at", None)
    yield
    provider.deleted.clear()
    provider.expired.clear()
