"""How all processes write their logs: one JSON object a line, on stderr.

Used by Django's settings and by gunicorn, which starts before Django: nothing here needs settings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from mediahub.redaction import redacted

LEVELS = ("INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
# The same warning is written once in this time, and then with the number of its repetitions.
QUIET_SECONDS = 60.0
# Extras by which two lines with the same message differ.
_APART = ("status_code", "endpoint", "reason", "queue", "duty")
# One line for all: scanners send a new Host with each request.
_ONE_FOR_ALL = frozenset({"django.security.DisallowedHost"})


class Formatter(JsonFormatter):
    """``time`` (ISO 8601 with offset), ``level``, ``logger``, ``message`` and the extras, all redacted."""

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
        super().__init__(["levelname", "name", "message"], rename_fields=names, json_ensure_ascii=False)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = moment.isoformat(timespec="milliseconds")
        super().add_fields(log_data, record, message_dict)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        # Django's loggers pass the whole request, whose text has the query.
        log_data.pop("request", None)
        return {
            name: value if name in ("time", "level", "logger") else redacted(value, name)
            for name, value in log_data.items()
        }


class OncePerOutage(logging.Filter):
    """Lets a warning or an error through once a minute; the next line of its kind says how many were left out.

    An outage makes the same line thousands of times. Lines are the same by logger, message (before its arguments),
    exception type, and the extras of ``_APART``.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        #: When each kind was last written, and how many were left out since.
        self._written: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.levelno >= logging.CRITICAL:
            return True
        now, kind = self._clock(), _kind(record)
        at, left_out = self._written.get(kind, (float("-inf"), 0))
        if now - at < QUIET_SECONDS:
            self._written[kind] = (at, left_out + 1)
            return False
        if left_out:
            record.left_out = left_out
        if len(self._written) > 1000:
            self._written.clear()
        self._written[kind] = (now, 0)
        return True


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    if record.name in _ONE_FOR_ALL:
        return (record.name,)
    exception = record.exc_info[0] if record.exc_info else None
    return (
        record.name,
        record.levelno,
        str(record.msg),
        exception,
        *(str(getattr(record, name, "")) for name in _APART),
    )


def configuration(level: str) -> dict[str, Any]:
    """What ``logging.config.dictConfig`` takes."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "mediahub.logs.Formatter"}},
        "filters": {"once": {"()": "mediahub.logs.OncePerOutage"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["once"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Each job's start and end; our own lines say what a job did.
            "rq": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            # Django gives them handlers of its own, of other formats.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
        },
    }
