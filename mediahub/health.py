"""Is the hub alive, and can it do its work?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import BytesIO

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from media_app import installation, queues
from media_app.reasons import reason
from media_app.storage import probing_storage
from mediahub import probes, status
from mediahub.probes import Outcome, Probe

log = logging.getLogger(__name__)

# Load balancers ask every second; each process looks this often at most.
CACHE_SECONDS = 5.0
# With ?full=1 an operator wants to know what holds now; but it needs no login, and must not be a
# way to make load.
FULL_CACHE_SECONDS = 1.0
# Below no owner: listings of owners never see it. One key for all, so that no more than one object
# can be left.
STORAGE_KEY = "readyz/probe"

_WRITE = (
    "INSERT INTO mediahub_writeprobe (id, written_at) VALUES (1, CURRENT_TIMESTAMP) "
    "ON CONFLICT (id) DO UPDATE SET written_at = CURRENT_TIMESTAMP"
)

# Within the limit of a probe, so that the reason is told.
_SQLITE_WAIT_SECONDS = 1.5
# In libpq's words. A connection whose other end is gone ends soon: until then no other probe
# starts.
_POSTGRES_TIMEOUTS = {
    "connect_timeout": 2,
    "tcp_user_timeout": 2000,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}


# Without ?full=1; load balancers ask often.
_FAST_PROBES = ("database", "queue", "eviction_policy", "storage")


class NotReadyError(Exception):
    """A part answers, but does not do its work; says why."""


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers. No I/O."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 while webhooks can be accepted, which takes the database alone; else 503. The body says
    what each part says.

    With ``?full=1`` all parts are looked at, and one that fails makes it 503.
    """
    if request.GET.get("full") == "1":
        outcomes = probes.ask(PROBES, PROBES, max_age=FULL_CACHE_SECONDS)
        is_ready = all(outcome.is_ok for outcome in outcomes.values())
    else:
        outcomes = probes.ask(PROBES, _FAST_PROBES, max_age=CACHE_SECONDS)
        is_ready = outcomes["database"].is_ok
    report = {name: outcome.text for name, outcome in outcomes.items()}
    status_code = 200 if is_ready else 503
    return JsonResponse(
        report, status=status_code, headers={"Cache-Control": "no-store"}
    )


def forget() -> None:
    """The next answer is looked up again."""
    for probe in PROBES.values():
        probe.forget()


# --- the parts ----------------------------------------------------------------


def _database() -> str:
    with _own_connection() as connection, connection.cursor() as cursor:
        cursor.execute(_WRITE)
    return "ok"


def _migrations() -> str:
    with _own_connection() as connection:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise NotReadyError(
                "Migrations are missing: run `python manage.py migrate`."
            )
    return "ok"


def _queue() -> str:
    if problem := queues.problem():
        raise NotReadyError(problem)
    return "ok"


def _eviction_policy() -> str:
    try:
        policy = queues.eviction_policy()
    except ValueError:
        raise NotReadyError("REDIS_URL is not the address of a Redis.") from None
    if policy in ("noeviction", "unknown"):
        return policy
    return f"warning: {policy}. Redis may throw jobs away: set maxmemory-policy to noeviction."


def _storage() -> str:
    try:
        storage = probing_storage()
    except ValueError:
        raise NotReadyError(
            "The bucket's endpoint is not an address: it begins with https://."
        ) from None
    storage.put(
        STORAGE_KEY,
        BytesIO(b"ok"),
        size=2,
        content_type="text/plain",
        metadata={},
        replace=True,
    )
    storage.delete([STORAGE_KEY])
    return "ok"


def _installation() -> str:
    if problem := installation.problem(probing_storage()):
        raise NotReadyError(problem)
    return "ok"


def _oldest_pending() -> str:
    oldest = status.oldest_pending()
    if oldest is None:
        return "none"
    age = datetime.now(UTC) - oldest
    return f"{int(age.total_seconds())} s"


@contextmanager
def _own_connection() -> Iterator[BaseDatabaseWrapper]:
    """A new connection: those of the pool may all be in use, and the pool does not say why it can
    make none.
    """
    connection = connections[DEFAULT_DB_ALIAS].copy()
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "sqlite":
        options["timeout"] = _SQLITE_WAIT_SECONDS
        milliseconds = int(_SQLITE_WAIT_SECONDS * 1000)
        options["init_command"] = (
            f"PRAGMA synchronous=FULL; PRAGMA busy_timeout={milliseconds};"
        )
    else:
        options.pop("pool", None)
        options.update(_POSTGRES_TIMEOUTS)
    try:
        yield connection
    finally:
        connection.close()


def _checked(name: str, check: Callable[[], str]) -> Outcome:
    try:
        return Outcome(True, check())
    except NotReadyError as error:
        why = str(error)
    except Exception as error:
        # Whatever it is: an answer must come, and say what is wrong.
        why = reason(error)
    finally:
        connections.close_all()
    log.warning("a part of the hub does not work", extra={"part": name, "reason": why})
    return Outcome(False, f"failed: {why}")


PROBES = {
    name: Probe(partial(_checked, name, check))
    for name, check in (
        ("database", _database),
        ("queue", _queue),
        ("eviction_policy", _eviction_policy),
        ("storage", _storage),
        ("installation", _installation),
        ("migrations", _migrations),
        ("oldest_pending", _oldest_pending),
    )
}
