from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from media_app import queues
from simulator.processes import Process, free_port
from tests.servers import redis_server


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
