from __future__ import annotations

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

S3 = {"BACKEND": "storages.backends.s3.S3Storage"}


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        ("STORAGES", {"media": {**S3, "OPTIONS": {"bucket_name": "", "access_key": "k"}}}, "media_app.E001"),
        ("MEDIA_METADATA_KEYS", ["not-a-key"], "media_app.E002"),
        ("MEDIA_MAX_BYTES", 6 * 1024**3, "media_app.E003"),
        ("REDIS_URL", "redis-host:6379", "media_app.E004"),
        ("META_ACCESS_TOKEN", [], "media_app.W001"),
        ("TWILIO_AUTH_TOKEN", [], "media_app.W002"),
    ],
)
def test_a_setting_that_cannot_work_is_found_at_start(settings: Settings, name: str, value: object, id: str) -> None:
    if name == "STORAGES":
        value = {**settings.STORAGES, **value}  # type: ignore[dict-item]
    setattr(settings, name, value)
    assert id in {message.id for message in run_checks()}


def test_the_tests_own_settings_have_nothing_to_say() -> None:
    assert not run_checks()
