from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import TransactionTestCase
from mypy_boto3_s3 import S3Client
from pytest_django.fixtures import Settings
from redis import Redis

from media_app import queues
from media_app.models import Installation
from mediahub import probes
from simulator.accounts import Accounts
from simulator.processes import Process, free_port
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.environment import DIRECTORY
from tests.servers import moto_server, redis_server
from tests.storage.buckets import connect


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """SQLite in a file, not in memory: with WAL and with threads that really compete."""
    database = django_settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database["TEST"] = {
            **database.get("TEST", {}),
            "NAME": str(DIRECTORY / "test.sqlite3"),
        }
        # What was committed outlives a killed process without the disk; only a power cut needs it.
        database["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session", autouse=True)
def rows_are_deleted() -> Iterator[None]:
    """After a test with real transactions its rows are deleted.

    Django's own way truncates every table and makes all content types and permissions again,
    which takes longer than most of these tests.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _delete_all_rows)
        yield


def _delete_all_rows(test: TransactionTestCase) -> None:
    made_by_migrations = {ContentType._meta.db_table, Permission._meta.db_table}
    tables = set(connection.introspection.django_table_names()) - made_by_migrations
    # Foreign keys are checked at the commit: any order is right.
    with transaction.atomic(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@pytest.fixture(autouse=True)
def webhooks_on_the_tests_connection() -> Iterator[None]:
    """A test's transaction is one connection's: what a webhook writes by another one would stay in
    the database.
    """
    # Not the fixture monkeypatch: a test that undoes its own changes must not undo this one.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("messages_app.webhooks.DATABASE", "default")
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Migrating has marked a storage that no test uses: each test has one of its own."""
    with django_db_blocker.unblock():
        Installation.objects.all().delete()


@pytest.fixture(autouse=True)
def media_root(settings: Settings, tmp_path: Path) -> Path:
    """A bucket of the test's own, on local disk."""
    root = tmp_path / "media"
    storages = copy.deepcopy(settings.STORAGES)
    storages["media"] = {
        "BACKEND": "media_app.storage.disk.DiskStorage",
        "OPTIONS": {"root": str(root)},
    }
    settings.STORAGES = storages
    return root


@pytest.fixture(autouse=True)
def patient_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that works may take longer to say so than a load balancer would wait: the machine is
    busy with tests.
    """
    monkeypatch.setattr(probes, "LIMIT_SECONDS", 120)


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    """Where submitted sessions are handed over."""
    with Shop() as shop:
        settings.SESSION_WEBHOOK_URL, settings.SESSION_WEBHOOK_SECRET = (
            shop.url,
            [shop.secret],
        )
        yield shop


@pytest.fixture(scope="session")
def running_provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as provider:
        yield provider


@pytest.fixture
def provider(
    running_provider: SimulatedProvider, settings: Settings
) -> SimulatedProvider:
    """Both vendors on loopback, and the settings that lead there."""
    accounts = Accounts()
    settings.META_APP_SECRET = [accounts.meta_app_secret]
    settings.META_ACCESS_TOKEN = [accounts.meta_access_token]
    settings.META_GRAPH_URL = settings.TWILIO_API_URL = running_provider.api_url
    settings.META_MEDIA_HOSTS = settings.TWILIO_MEDIA_HOSTS = [
        running_provider.cdn_host
    ]
    settings.TWILIO_ACCOUNT_SID = accounts.twilio_account_sid
    settings.TWILIO_AUTH_TOKEN = [accounts.twilio_auth_token]
    return running_provider


@pytest.fixture(scope="session")
def moto_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A strict S3 server."""
    port = free_port()
    server = moto_server(tmp_path_factory.mktemp("moto"), port)
    server.start()
    yield port
    server.stop()


@pytest.fixture(scope="session")
def moto_client(moto_port: int) -> Iterator[S3Client]:
    with connect(moto_port, "none") as storage:
        yield storage.client


@pytest.fixture(scope="session")
def redis_process(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Process, str]]:
    port = free_port()
    process = redis_server(tmp_path_factory.mktemp("redis"), port)
    process.start()
    yield process, f"redis://127.0.0.1:{port}/0"
    process.stop()


@pytest.fixture
def redis(
    redis_process: tuple[Process, str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Redis]:
    """A real, empty Redis for this process's jobs; a busy machine may be slow."""
    monkeypatch.setattr(queues, "REDIS_TIMEOUT_SECONDS", 60)
    settings.REDIS_URL = redis_process[1]
    forget_connections()
    connection = Redis.from_url(settings.REDIS_URL)
    connection.flushall()
    yield connection
    connection.close()
    forget_connections()


def forget_connections() -> None:
    queues.connection.cache_clear()
    queues._queue.cache_clear()
