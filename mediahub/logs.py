"""How all processes write their logs: one JSON object a line, on stderr.

Used by Django's settings and by gunicorn, which starts before Django: nothing here needs settings.
"""

from __future__ import annotations

import logging
import mmap
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
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
    """``time`` (ISO 8601 with offset), ``level``, ``logger``, ``message`` and the extras, all
    redacted.
    """

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields=names,
            json_ensure_ascii=False,
        )

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        moment = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = moment.isoformat(timespec="milliseconds")
        super().add_fields(log_data, record, message_dict)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        # Django's loggers pass the whole request, whose text has the query.
        log_data.pop("request", None)
        for name in log_data.keys() - {"time", "level", "logger"}:
            log_data[name] = redacted(log_data[name], name)
        return log_data


class Memory:
    """When each kind of line was last written, and how many were left out since; shared with forked
    processes.

    Two processes that write at the same moment may cost a line or write one more. So may two kinds
    that fall on the same slot.
    """

    _SLOTS = 1024
    _SLOT = struct.Struct("=8sdQ")

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, self._SLOTS * self._SLOT.size)

    def read(self, kind: bytes) -> tuple[float, int]:
        known, at, left_out = self._SLOT.unpack_from(self._map, self._offset(kind))
        if known != kind:
            return float("-inf"), 0
        return at, left_out

    def write(self, kind: bytes, at: float, left_out: int) -> None:
        self._SLOT.pack_into(self._map, self._offset(kind), kind, at, left_out)

    def _offset(self, kind: bytes) -> int:
        return int.from_bytes(kind, "big") % self._SLOTS * self._SLOT.size


# Made when this is imported: before a supervisor forks its workers, and gunicorn its own.
_shared = Memory()


class OncePerOutage(logging.Filter):
    """Lets a warning or an error through once a minute; the next line of its kind says how many
    were left out.

    An outage makes the same line thousands of times. Lines are the same by logger, message (before
    its arguments), exception type, and the extras of ``_APART``. Processes that are forked from
    one, as a supervisor's workers and a worker's jobs, count together.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        # On Linux all processes have the same one.
        self._clock = clock
        self._memory = memory or _shared

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.levelno >= logging.CRITICAL:
            return True
        if record.name in _ONE_FOR_ALL:
            record.exc_info = record.exc_text = None
        now, kind = self._clock(), _kind(record)
        at, left_out = self._memory.read(kind)
        if now - at < QUIET_SECONDS:
            self._memory.write(kind, at, left_out + 1)
            return False
        if left_out:
            record.left_out = left_out
        self._memory.write(kind, now, 0)
        return True


def _kind(record: logging.LogRecord) -> bytes:
    """Eight bytes that are the same for lines that are the same."""
    parts: tuple[object, ...] = (record.name,)
    if record.name not in _ONE_FOR_ALL:
        exception = record.exc_info[0] if record.exc_info else None
        apart = (str(getattr(record, name, "")) for name in _APART)
        parts = (record.name, record.levelno, str(record.msg), exception, *apart)
    return blake2b(repr(parts).encode(errors="replace"), digest_size=8).digest()


def configuration(level: str) -> dict[str, Any]:
    """What ``logging.config.dictConfig`` takes."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "mediahub.logs.Formatter"}},
        "filters": {"once": {"()": "mediahub.logs.OncePerOutage"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "filters": ["once"],
            }
        },
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
