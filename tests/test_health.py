from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from media_app import hints
from mediahub.simulator.processes import free_port
from tests.servers import redis_server

pytestmark = pytest.mark.django_db


def test_alive_says_so_without_looking_at_anything(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_ready_when_every_part_answers(client: Client, settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    server = redis_server(tmp_path, port)
    server.start()
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    hints.connection.cache_clear()
    try:
        answer = client.get("/readyz")
    finally:
        hints.connection().close()
        hints.connection.cache_clear()
        server.stop()
    assert answer.status_code == 200
    assert answer.json() == {
        "database": "ok",
        "migrations": "ok",
        "queue": "ok",
        "storage": "ok",
        "oldest_pending": "none",
    }


def test_not_ready_names_the_part_that_fails(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["queue"].startswith("failed: ")
    assert answer.json()["database"] == "ok"


def test_the_front_door_leads_to_the_admin(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/admin/"
