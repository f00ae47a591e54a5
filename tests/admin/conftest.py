from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer
from redis import Redis

from mediahub import status_cache
from tests.browsers import running_chromium

Staff = Callable[..., Client]


@pytest.fixture(autouse=True)
def plain_static_files(settings: Settings) -> None:
    """Pages link to static files as they lie, without a collectstatic run before the tests."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture(autouse=True)
def looks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page reads the status again, however soon after another."""
    status_cache.forget()
    monkeypatch.setattr(status_cache, "CACHE_SECONDS", 0.0)


@pytest.fixture
def staff(db: None) -> Staff:
    """Logs in a member of staff with just these permissions, each as ``app.codename``."""

    def log_in(*permissions: str) -> Client:
        user = User.objects.create_user(f"staff-{User.objects.count()}", is_staff=True)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(
                Permission.objects.get(content_type__app_label=app, codename=codename)
            )
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def viewer(staff: Staff) -> Client:
    """May look at everything, and nothing more."""
    models = (
        "message",
        "contact",
        "delivery",
        "quarantineditem",
        "messagestatus",
        "photosession",
        "outboxitem",
    )
    return staff(
        "media_app.view_media", *(f"messages_app.view_{model}" for model in models)
    )


@pytest.fixture
def superuser(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def redis(redis: Redis, settings: Settings) -> Redis:
    """Known to the dashboard, too."""
    settings.RQ_QUEUES = {
        name: {**queue, "URL": settings.REDIS_URL}
        for name, queue in settings.RQ_QUEUES.items()
    }
    return redis


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, running_chromium() as browser:
        # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser


@pytest.fixture
def page(live_server: LiveServer, chromium: Browser) -> Iterator[Page]:
    """A window of the browser in front of the hub; nobody has logged in."""
    page = chromium.new_page(base_url=live_server.url)
    page.set_default_timeout(60_000)
    yield page
    page.context.close()
