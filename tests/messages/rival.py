"""Somebody else at the same database."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from django.conf import settings
from django.db import connection

from mediahub.env import BASE_DIR


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Nobody else can write to the table (SQLite: to any); our own connection doesn't wait for
    it.
    """
    if connection.vendor == "sqlite":
        with closing(
            sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        ) as rival:
            rival.execute("BEGIN EXCLUSIVE")
            with _set("PRAGMA busy_timeout = 20", "PRAGMA busy_timeout = 20000"):
                yield
    else:
        with psycopg.connect(database_url()) as rival_connection:
            rival_connection.execute(
                f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode()
            )
            with _set("SET lock_timeout = '20ms'", "SET lock_timeout = 0"):
                yield


@contextmanager
def _set(before: str, after: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(before)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(after)


def database_url() -> str:
    """The tests' own database, for other processes."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    host, port, user = (
        connection.settings_dict[key] for key in ("HOST", "PORT", "USER")
    )
    return f"postgres://{user}@{host}:{port}/{name}"


def environment() -> dict[str, str]:
    """Ours, for a process that works on the tests' own database and sees the settings of the
    test.
    """
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
    }


def python(code: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``code`` in a process of its own, with Django set up."""
    setup = (
        "import os, signal, django\nos.environ['DJANGO_SETTINGS_MODULE'] = "
        "'mediahub.settings'\ndjango.setup()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", setup + code],
        env=environment(),
        cwd=BASE_DIR,
        check=False,
        capture_output=True,
    )


def was_killed(process: subprocess.CompletedProcess[bytes]) -> bool:
    return process.returncode == -signal.SIGKILL
