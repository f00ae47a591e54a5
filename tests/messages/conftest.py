from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings


@pytest.fixture
def photos_begin(settings: Settings) -> None:
    """A photo begins a session."""
    settings.SESSION_START = "photo"
