"""A bucket whose settings can't work keeps nobody from answering."""

from __future__ import annotations

import copy

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from mediahub.storages import s3_storage
from messages_app.models import Delivery
from tests.messages.mail import album, photo, post

pytestmark = [pytest.mark.django_db]


@pytest.fixture(params=["bucket:9000", "https://.r2.cloudflarestorage.com"])
def broken_bucket(request: pytest.FixtureRequest, settings: Settings) -> None:
    """No scheme, or no account: no client can be made for such an address."""
    storages = copy.deepcopy(settings.STORAGES)
    storages["media"] = s3_storage(
        bucket="files", key_id="id", secret="s", region="auto", endpoint=request.param
    )
    settings.STORAGES = storages
    settings.MEDIA_DELIVERY = "redirect"


@pytest.mark.usefixtures("broken_bucket")
def test_webhooks_are_answered() -> None:
    assert post(album(photo(1))).status_code == 200
    assert Delivery.objects.count() == 1


@pytest.mark.usefixtures("broken_bucket")
def test_health_checks_are_answered(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


@pytest.mark.usefixtures("broken_bucket")
def test_pages_open_and_the_log_names_the_fault(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    page = client.get("/admin/login/")
    assert page.status_code == 200
    # In an order that changes from process to process.
    directives = page.headers["Content-Security-Policy"].split("; ")
    assert "img-src 'self'" in directives
    assert "its settings can't work" in caplog.text
