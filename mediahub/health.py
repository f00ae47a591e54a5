"""Is the hub alive, and can it do its work?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from redis import RedisError

from media_app import hints
from media_app.storage import StorageError, media_storage
from mediahub import status


class NotReadyError(Exception):
    """A part does not do its work; says which and why."""


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers. No I/O."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when every part answers, else 503; in both cases what each part says."""
    report: dict[str, str] = {}
    failed = False
    for name, check in _CHECKS.items():
        try:
            report[name] = check()
        except (NotReadyError, Error, RedisError, StorageError, ValueError) as error:
            failed = True
            report[name] = f"failed: {error if isinstance(error, NotReadyError) else type(error).__name__}"
    return JsonResponse(report, status=503 if failed else 200)


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReadyError("run `python manage.py migrate`")
    return "ok"


def _queue() -> str:
    hints.connection().ping()
    return "ok"


def _storage() -> str:
    # An owner that cannot exist: an empty listing proves that the bucket answers.
    list(islice(media_storage().list("readyz/"), 1))
    return "ok"


def _oldest_pending() -> str:
    oldest = status.oldest_pending()
    return f"{int((datetime.now(UTC) - oldest).total_seconds())} s" if oldest else "none"


_CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "queue": _queue,
    "storage": _storage,
    "oldest_pending": _oldest_pending,
}
