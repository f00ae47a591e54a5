"""Whole hubs for tests: real processes on a database of their own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from mediahub.env import BASE_DIR
from simulator.hub import Hub
from simulator.processes import Process, free_port
from simulator.provider import SimulatedProvider
from tests.servers import S3_KEY_ID, S3_SECRET, postgres_server, rclone_server


@contextmanager
def running_hub(
    directory: Path,
    *,
    database: str = "sqlite",
    storage: str = "local",
    env: Mapping[str, str] | None = None,
    provider: SimulatedProvider | None = None,
    **options: Any,
) -> Iterator[Hub]:
    """A hub with its provider, a new one unless it is given. ``database`` is sqlite or postgres,
    ``storage`` local or rclone (S3). ``options`` are Hub's own.
    """
    with ExitStack() as stack:
        overrides = dict(env or {})
        if database == "postgres":
            overrides |= stack.enter_context(postgres(directory))[1]
        if storage == "rclone":
            overrides |= stack.enter_context(bucket(directory))[1]
        provider = stack.enter_context(provider or SimulatedProvider())
        hub = Hub(
            directory / "hub",
            api_url=provider.api_url,
            cdn_host=provider.cdn_host,
            env=overrides,
            **options,
        )
        yield stack.enter_context(hub)


@contextmanager
def postgres(directory: Path) -> Iterator[tuple[Process, dict[str, str]]]:
    """A server with an empty database, and what a hub must know of it."""
    port = free_port()
    server = postgres_server(directory, port)
    server.start()
    try:
        url = f"postgres://postgres@127.0.0.1:{port}"
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE mediahub")
        yield server, {"DATABASE_URL": f"{url}/mediahub"}
    finally:
        server.stop()


@contextmanager
def bucket(directory: Path) -> Iterator[tuple[Process, dict[str, str]]]:
    """An S3 server with an empty bucket, and what a hub must know of it."""
    port = free_port()
    # Nobody but the server writes there.
    server = rclone_server(directory, port, folders_seen_after="1h")
    (directory / "buckets" / "media").mkdir()
    server.start()
    try:
        env = {
            "MEDIA_STORAGE_BACKEND": "s3",
            "AWS_S3_BUCKET": "media",
            "AWS_ACCESS_KEY_ID": S3_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        yield server, env
    finally:
        server.stop()


def simulate(hub: Hub, *options: str) -> dict[str, Any]:
    """Send a burst to the hub and compare; the command's JSON. Raises AssertionError with the
    problems.
    """
    done = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "simulate", "--json", *options],
        env=hub.simulator_env,
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    outcome: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, outcome["problems"][:5] or outcome["webhooks"]
    return outcome


def stored(hub: Hub) -> int:
    """How many files the hub has stored. Asked of its database: a process with Django takes seconds
    to start.
    """
    url, count = (
        hub.env["DATABASE_URL"],
        "SELECT count(*) FROM media_app_media WHERE state = 'stored'",
    )
    if url.startswith("postgres"):
        with psycopg.connect(url) as postgres:
            row = postgres.execute(count).fetchone()
    else:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as sqlite:
            row = sqlite.execute(count).fetchone()
    assert row is not None
    return int(row[0])
