"""Files that may be cleaned up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from media_app.models import Media
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.models import Contact
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, photo, recover
from tests.messages.cleanup.runs import age
from tests.messages.mail import arrive
from tests.storage.buckets import keys


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(provider: SimulatedProvider) -> list[Media]:
    """Three stored files of one sender."""
    arrive(album(photo(1), photo(2), photo(3)))
    inbox.drain()
    recover()
    age(*keys(media_storage()))
    return list(Media.objects.order_by("key"))


@pytest.fixture
def over(files: list[Media], settings: Settings) -> list[Media]:
    """Their retention period is over."""
    settings.MEDIA_RETENTION_DAYS = 30
    Media.objects.update(
        occurred_at=F("occurred_at") - timedelta(days=60),
        announced_at=F("announced_at") - timedelta(days=60),
    )
    Contact.objects.update(last_message_at=Now() - timedelta(days=60))
    return files
