from __future__ import annotations

import copy
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from pytest_django.fixtures import Settings
from redis import Redis

from media_app import queues
from media_app.storage import media_storage
from mediahub import health, probes
from mediahub.models import WriteProbe
from mediahub.probes import LIMIT_SECONDS, Outcome, Probe
from mediahub.storages import s3_storage
from simulator.processes import free_port
from tests.servers import redis_server

# The probes have connections of their own, which a test's transaction would lock out.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

POSTGRES = "django.db.backends.postgresql"
#: A bound for a machine that is busy with other tests; a bucket's client of its own waits for half
#: a minute.
SOON = LIMIT_SECONDS + 18


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    server = redis_server(tmp_path_factory.mktemp("redis"), port)
    server.start()
    yield port
    server.stop()


@pytest.fixture
def redis(
    redis_port: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Redis]:
    monkeypatch.setattr(queues, "REDIS_TIMEOUT_SECONDS", 60)
    with (
        Redis(port=redis_port) as redis,
        _redis_at(settings, f"redis://127.0.0.1:{redis_port}/0"),
    ):
        yield redis
        redis.config_set("maxmemory", 0)
        redis.config_set("maxmemory-policy", "noeviction")


@contextmanager
def _redis_at(settings: Settings, url: str) -> Iterator[None]:
    settings.REDIS_URL = url
    queues.connection.cache_clear()
    yield
    queues.connection().close()
    queues.connection.cache_clear()


@pytest.fixture(autouse=True)
def _asked_again() -> None:
    health.forget()


@pytest.fixture
def database_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lead new connections, which the probes make, to another database."""

    def lead(**words: object) -> None:
        monkeypatch.setitem(
            connections.settings,
            "default",
            {**copy.deepcopy(connection.settings_dict), **words},
        )

    return lead


@pytest.fixture
def impatient_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the real limit: the other parts have to answer in time on a busy machine."""
    monkeypatch.setattr(probes, "LIMIT_SECONDS", LIMIT_SECONDS + 4)


@pytest.fixture
def silent_port(impatient_probes: None) -> Iterator[int]:
    """A server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_alive_says_so_without_looking_at_anything(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_ready_when_every_part_takes_a_write(client: Client, redis: Redis) -> None:
    answer = client.get("/readyz?full=1")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "database": "ok",
            "queue": "ok",
            "eviction_policy": "noeviction",
            "storage": "ok",
            "installation": "ok",
            "migrations": "ok",
            "oldest_pending": "none",
        },
    )
    assert list(media_storage().list("")) == []


def test_without_redis_and_bucket_webhooks_are_accepted_and_both_are_named(
    client: Client, media_root: Path
) -> None:
    media_storage()
    media_root.rmdir()
    media_root.touch()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["database"] == "ok"
    assert (
        answer.json()["queue"]
        == "failed: Nothing listens at the host and port of REDIS_URL."
    )
    assert answer.json()["storage"].startswith("failed: ")
    assert client.get("/readyz?full=1").status_code == 503


def test_a_storage_that_is_not_ours_is_named(
    client: Client, redis: Redis, media_root: Path
) -> None:
    client.get("/readyz?full=1")
    (media_root / ".mediahub").unlink()
    health.forget()
    answer = client.get("/readyz?full=1")
    assert answer.status_code == 503
    assert "the folder is not mounted" in answer.json()["installation"]


def test_a_full_redis_is_no_ready_one(client: Client, redis: Redis) -> None:
    redis.config_set("maxmemory", 1)
    assert (
        client.get("/readyz").json()["queue"]
        == "failed: Redis is full (maxmemory): it takes no jobs."
    )


def test_a_redis_that_throws_jobs_away_is_warned_of(
    client: Client, redis: Redis
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    answer = client.get("/readyz?full=1")
    assert answer.json()["eviction_policy"].startswith("warning: allkeys-lru.")
    assert answer.status_code == 200


def test_addresses_that_are_none_are_named(client: Client, settings: Settings) -> None:
    settings.STORAGES = {**settings.STORAGES, "media": _bucket_at("no-scheme")}
    with _redis_at(settings, "http://x:secret@y"):
        answer = client.get("/readyz").json()
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        queues.connection.cache_clear()
    assert (
        answer["queue"]
        == answer["eviction_policy"]
        == "failed: REDIS_URL is not the address of a Redis."
    )
    assert (
        answer["storage"]
        == "failed: The bucket's endpoint is not an address: it begins with https://."
    )


def _bucket_at(endpoint: str) -> dict[str, Any]:
    return s3_storage(
        bucket="b",
        key_id="an-access-key",
        secret="s",
        region="us-east-1",
        endpoint=endpoint,
    )


def test_a_silent_bucket_costs_two_seconds(
    client: Client, settings: Settings, silent_port: int
) -> None:
    """Its own client would wait for half a minute."""
    settings.STORAGES = {
        **settings.STORAGES,
        "media": _bucket_at(f"http://127.0.0.1:{silent_port}"),
    }
    began = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - began < SOON
    assert answer.status_code == 200
    assert answer.json()["storage"] in (
        "failed: The bucket's server did not answer in time.",
        "failed: No answer within 2 s.",
    )


def test_a_silent_database_costs_two_seconds(
    client: Client, database_at: Callable[..., None], silent_port: int
) -> None:
    database_at(
        ENGINE=POSTGRES, HOST="127.0.0.1", PORT=str(silent_port), NAME="hub", OPTIONS={}
    )
    began = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - began < SOON
    assert answer.status_code == 503
    assert answer.json()["database"] in (
        "failed: The database did not answer in time.",
        "failed: No answer within 2 s.",
    )


def test_a_database_without_a_server_is_named(
    client: Client, database_at: Callable[..., None]
) -> None:
    database_at(ENGINE=POSTGRES, HOST="127.0.0.1", PORT="1", NAME="hub", OPTIONS={})
    answer = client.get("/readyz")
    assert (
        answer.json()["database"]
        == "failed: Nothing listens at the host and port of DATABASE_URL."
    )


@pytest.mark.usefixtures("impatient_probes")
def test_a_database_that_another_program_has_locked_is_not_ready(
    client: Client,
) -> None:
    with transaction.atomic():
        WriteProbe.objects.create(id=1)
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] in (
        "failed: Another program holds the write lock of the database.",
        "failed: No answer within 2 s.",
    )


# --- how often it is asked ----------------------------------------------------------


def test_many_who_ask_at_once_share_one_check() -> None:
    begun, go = [], threading.Event()

    def check() -> Outcome:
        begun.append(1)
        go.wait()
        return Outcome(True, "ok")

    probe = Probe(check)
    runs = {probe.start(max_age=0) for _ in range(10)}
    go.set()
    assert [run.outcome().text for run in runs] == ["ok"]
    assert len(begun) == 1


def test_a_check_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "LIMIT_SECONDS", 0.01)
    go = threading.Event()
    probe = Probe(lambda: Outcome(go.wait(20), "ok"))
    assert probe.start(max_age=0).outcome() == probes.SILENT
    go.set()


def test_an_answer_is_used_again_for_a_while() -> None:
    probe = Probe(lambda: Outcome(True, "ok"))
    first = probe.start(max_age=60)
    first.outcome()
    assert probe.start(max_age=60) is first
    assert probe.start(max_age=0) is not first


def test_a_check_that_breaks_is_an_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "problem", lambda: 1 / 0)
    assert (
        client.get("/readyz").json()["queue"]
        == "failed: It failed with ZeroDivisionError; the log may say more."
    )


def test_the_front_door_leads_to_the_admin(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/admin/"
