"""The environment that the tests run in, set before Django reads it. Loaded by pytest as a plugin.

TEST_DATABASE=postgres runs on a real PostgreSQL that is started here; otherwise on
SQLite in a file, as in production: threads and processes share it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from simulator.processes import free_port
from tests.servers import postgres_server

DIRECTORY = Path(tempfile.mkdtemp(prefix="mediahub-tests-"))
atexit.register(shutil.rmtree, DIRECTORY, ignore_errors=True)


def _database_url() -> str:
    if os.environ.get("TEST_DATABASE") != "postgres":
        return f"sqlite:///{DIRECTORY / 'db.sqlite3'}"
    port = free_port()
    server = postgres_server(DIRECTORY, port, fsync=False)
    server.start()
    atexit.register(server.stop)
    return f"postgres://postgres@127.0.0.1:{port}/postgres"


os.environ.update(
    {
        "SECRET_KEY": "a-key-for-tests-only",
        "DEBUG": "0",
        "PUBLIC_URL": "http://testserver",
        "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "DATABASE_URL": _database_url(),
        # Nothing listens there: enqueueing fails at once, which must never matter.
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MEDIA_STORAGE_BACKEND": "local",
        "MEDIA_ROOT": str(DIRECTORY / "media"),
        "META_APP_SECRET": "app-secret-new,app-secret-old",
        "META_VERIFY_TOKEN": "verify-token",
        "META_ACCESS_TOKEN": "access-token",
        "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001",
        "TWILIO_AUTH_TOKEN": "auth-token-new,auth-token-old",
        "LOG_LEVEL": "WARNING",
    }
)
