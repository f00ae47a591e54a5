from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
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
        ("LINK_TTL_SECONDS", 0, "media_app.E005"),
        ("R2_PUBLIC_URL", "cdn.example", "media_app.E006"),
        ("MEDIA_DELIVERY", "redirect", "media_app.W003"),
        ("SESSION_TTL_SECONDS", 0, "messages_app.E001"),
        ("SUMMARY_LINK_TTL_SECONDS", -1, "messages_app.E001"),
        ("SESSION_WORDS_CANCEL", ["Done"], "messages_app.E002"),
        ("SESSION_WORDS_DONE", [], "messages_app.E003"),
        ("SESSION_WEBHOOK_URL", "shop.example/sessions", "messages_app.E004"),
        ("SESSION_WEBHOOK_URL", "https://shop.example/sessions", "messages_app.W001"),
    ],
)
def test_a_setting_that_cannot_work_is_found_at_start(settings: Settings, name: str, value: object, id: str) -> None:
    if name == "STORAGES":
        value = {**settings.STORAGES, **value}  # type: ignore[dict-item]
    setattr(settings, name, value)
    assert id in {message.id for message in run_checks()}


def test_a_bucket_that_viewers_are_sent_to_keeps_its_senders_secret(settings: Settings) -> None:
    settings.MEDIA_DELIVERY, settings.MEDIA_STORAGE_BACKEND = "redirect", "s3"
    assert "media_app.W004" in {message.id for message in run_checks()}
    settings.MEDIA_METADATA_KEYS = [Fernet.generate_key().decode()]
    assert not run_checks()


def test_the_tests_own_settings_have_nothing_to_say() -> None:
    assert not run_checks()
