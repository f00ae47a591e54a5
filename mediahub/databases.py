"""The connections to the one database: ``default`` for pages and workers, ``webhooks`` for webhooks
alone.

Webhooks have their own, so that slow pages never keep them waiting. Pages have limits, so that a
slow one ends; workers and commands have none, because a migration or a large batch may take its
time.
"""

from __future__ import annotations

import copy
import os
from typing import Any

# A provider waits about 10 s for its answer. The wait for a free connection (SQLite: for the turn
# of this process, messages_app/models/delivery.py) and the wait for a lock come one after the
# other.
WEBHOOK_WAIT_SECONDS = 4
PAGE_LOCK_SECONDS = 5
PAGE_STATEMENT_SECONDS = 15
# A drainer that is frozen or cut off in a transaction holds its locks for this long.
IDLE_IN_TRANSACTION_SECONDS = 30
# psycopg_pool doubles its delay between two attempts to connect until this time is over; then it
# starts again.
RECONNECT_SECONDS = 2

_ROLE = "MEDIAHUB_ROLE"


def serve_pages() -> None:
    """This process is a web server: what it does for pages has limits. Called before the settings
    are read.
    """
    os.environ[_ROLE] = "web"


def databases(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Django's DATABASES, from what the database's address says."""
    if config["ENGINE"] == "django.db.backends.sqlite3":
        default = _sqlite(config, wait=20)
        webhooks = _sqlite(config, wait=WEBHOOK_WAIT_SECONDS)
    else:
        limits: dict[str, str] = {}
        if os.environ.get(_ROLE) == "web":
            limits = _limits(lock=PAGE_LOCK_SECONDS, statement=PAGE_STATEMENT_SECONDS)
        default = _postgres(config, limits, pool_size=16, pool_wait=5)
        # The limit of a statement counts its wait for a lock, too.
        limits = _limits(lock=WEBHOOK_WAIT_SECONDS, statement=WEBHOOK_WAIT_SECONDS)
        webhooks = _postgres(
            config, limits, pool_size=8, pool_wait=WEBHOOK_WAIT_SECONDS
        )
    # Tests have one database under both names.
    webhooks["TEST"] = {"MIRROR": "default"}
    return {"default": default, "webhooks": webhooks}


def _sqlite(config: dict[str, Any], *, wait: int) -> dict[str, Any]:
    """``wait`` is how many seconds a write waits for another process's write."""
    pragmas = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={wait * 1000}")
    options = {
        # A read that turns into a write fails at once under DEFERRED, whatever the timeout.
        "transaction_mode": "IMMEDIATE",
        "timeout": wait,
        # FULL: an answered webhook must survive a power cut.
        "init_command": " ".join(f"PRAGMA {pragma};" for pragma in pragmas),
    }
    return {**copy.deepcopy(config), "CONN_MAX_AGE": None, "OPTIONS": options}


def _limits(*, lock: int, statement: int) -> dict[str, str]:
    return {"lock_timeout": f"{lock}s", "statement_timeout": f"{statement}s"}


def _postgres(
    config: dict[str, Any], limits: dict[str, str], *, pool_size: int, pool_wait: int
) -> dict[str, Any]:
    """``limits`` are settings of the server for each connection. The address's own ``options`` win
    over them.
    """
    given = dict(config.get("OPTIONS", {}))
    milliseconds = IDLE_IN_TRANSACTION_SECONDS * 1000
    server_settings = {
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
        # How the server notices that this host is gone.
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": str(milliseconds),
        **limits,
    }
    switches = [f"-c {name}={value}" for name, value in server_settings.items()]
    options = {
        "connect_timeout": 5,
        # How this host notices that the server is gone.
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": milliseconds,
        "pool": {
            "min_size": 1,
            "max_size": pool_size,
            "timeout": pool_wait,
            "reconnect_timeout": RECONNECT_SECONDS,
        },
        **given,
        "options": " ".join([*switches, str(given.get("options", ""))]).strip(),
    }
    return {**copy.deepcopy(config), "CONN_HEALTH_CHECKS": True, "OPTIONS": options}
