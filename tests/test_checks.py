from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

S3 = {"BACKEND": "media_app.storage.s3.S3Bucket"}


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        (
            "STORAGES",
            {"media": {**S3, "OPTIONS": {"bucket_name": "", "access_key": "k"}}},
            "media_app.E001",
        ),
        ("MEDIA_METADATA_KEYS", ["not-a-key"], "media_app.E002"),
        ("MEDIA_MAX_BYTES", 6 * 1024**3, "media_app.E003"),
        ("REDIS_URL", "redis-host:6379", "media_app.E004"),
        ("META_ACCESS_TOKEN", [], "media_app.W001"),
        ("TWILIO_AUTH_TOKEN", [], "media_app.W002"),
        ("LINK_TTL_SECONDS", 0, "media_app.E005"),
        ("R2_PUBLIC_URL", "cdn.example", "media_app.E006"),
        ("R2_PUBLIC_URL", "https://cdn.example", "media_app.W007"),
        ("R2_PUBLIC_BUCKET", "public", "media_app.W007"),
        ("MEDIA_DELIVERY", "redirect", "media_app.W003"),
        (
            "STORAGES",
            {"media": {**S3, "OPTIONS": {"endpoint_url": "minio:9000"}}},
            "media_app.E007",
        ),
        (
            "STORAGES",
            {"media": {**S3, "OPTIONS": {"endpoint_url": "http://minio:many"}}},
            "media_app.E007",
        ),
        ("META_GRAPH_URL", "graph.facebook.com", "media_app.E007"),
        ("PUBLIC_URL", "hub.example", "mediahub.E001"),
        ("SESSION_TTL_SECONDS", 0, "messages_app.E001"),
        ("SUMMARY_LINK_TTL_SECONDS", -1, "messages_app.E001"),
        ("SESSION_WORDS_CANCEL", ["Done"], "messages_app.E002"),
        ("SESSION_WORDS_DONE", [], "messages_app.E003"),
        ("SESSION_WEBHOOK_URL", "shop.example/sessions", "messages_app.E004"),
        ("SESSION_WEBHOOK_URL", "https://shop.example/sessions", "messages_app.W001"),
        ("SESSION_WEBHOOK_URL", "http://shop.example/sessions", "messages_app.E005"),
        ("SESSION_WEBHOOK_URL", "http://10.0.0.5/sessions", "messages_app.E005"),
    ],
)
def test_a_setting_that_cannot_work_is_found_at_start(
    settings: Settings, name: str, value: object, id: str
) -> None:
    if name == "STORAGES":
        value = {**settings.STORAGES, **value}  # type: ignore[dict-item]
    setattr(settings, name, value)
    assert id in {message.id for message in run_checks()}


def test_a_bucket_that_viewers_are_sent_to_keeps_its_senders_secret(
    settings: Settings,
) -> None:
    settings.MEDIA_DELIVERY, settings.MEDIA_STORAGE_BACKEND = "redirect", "s3"
    assert "media_app.W004" in {message.id for message in run_checks()}
    settings.MEDIA_METADATA_KEYS = [Fernet.generate_key().decode()]
    assert not run_checks()


def test_public_copies_need_a_bucket_of_their_own(settings: Settings) -> None:
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = "public", "https://cdn.example"
    assert [message.id for message in run_checks()] == ["media_app.W007"]
    options = {"bucket_name": "media", "access_key": "k", "secret_key": "s"}
    settings.STORAGES = {**settings.STORAGES, "media": {**S3, "OPTIONS": options}}
    assert not run_checks()
    settings.R2_PUBLIC_BUCKET = "media"
    assert [message.id for message in run_checks()] == ["media_app.E008"]


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        ("PUBLIC_URL", "http://hub.example", "mediahub.W001"),
        ("PUBLIC_URL", "https://other.example", "mediahub.W002"),
        ("META_APP_SECRET", [""], "mediahub.W003"),
        ("REDIS_URL", "redis://10.0.0.5:6379/0", "media_app.W006"),
        ("REDIS_URL", "rediss://user@redis.example/0", "media_app.W006"),
    ],
)
def test_a_server_that_others_reach_is_warned(
    settings: Settings, name: str, value: object, id: str
) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://hub.example", [".example"]
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = "", []
    assert not _deploy_ids()
    settings.ALLOWED_HOSTS = ["hub.example"]
    setattr(settings, name, value)
    assert id in _deploy_ids()


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [
        ("DATABASE_URL", "", "mediahub.W004"),
        ("MEDIA_ROOT", "", "mediahub.W005"),
        ("PORT", "http", "mediahub.E002"),
        ("PORT", "70000", "mediahub.E002"),
    ],
)
def test_what_nobody_decided_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, id: str
) -> None:
    assert id not in _deploy_ids()
    monkeypatch.setenv(name, value)
    assert id in _deploy_ids()


def _deploy_ids() -> set[str | None]:
    """Of what this project says; Django's own checks have their own tests."""
    found = {message.id for message in run_checks(include_deployment_checks=True)}
    return {id for id in found if str(id).startswith(("mediahub.", "media_app."))}


def test_a_folder_that_nginx_may_not_enter_is_found(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    folder.mkdir(mode=0o700)
    settings.MEDIA_DELIVERY, settings.MEDIA_ROOT = "accel", str(folder)
    assert "media_app.W005" in {message.id for message in run_checks()}


def test_the_hint_for_a_metadata_key_prints_one_that_works(settings: Settings) -> None:
    settings.MEDIA_METADATA_KEYS = ["not-a-key"]
    (message,) = run_checks()
    code = str(message.hint).partition('-c "')[2].rstrip('"')
    key = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    settings.MEDIA_METADATA_KEYS = [key]
    assert not run_checks()


def test_the_tests_own_settings_have_nothing_to_say() -> None:
    assert not run_checks()


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1/0",
        "redis://[::1]/0",
        "redis://localhost",
        "unix:///run/redis.sock",
        "redis://:password@10.0.0.5/0",
        "redis://10.0.0.5/0?password=secret",
    ],
)
def test_a_redis_that_only_this_machine_reaches_or_with_a_password_is_well(
    settings: Settings, url: str
) -> None:
    settings.REDIS_URL = url
    assert "media_app.W006" not in _deploy_ids()
