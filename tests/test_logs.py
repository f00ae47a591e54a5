from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import RequestFactory

from mediahub.logs import QUIET_SECONDS, Formatter, Memory, OncePerOutage


class Log:
    """A logger as the hub's processes have it, with a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(Formatter())
        handler.addFilter(OncePerOutage(clock=lambda: self.now, memory=Memory()))
        self.logger = logging.Logger("test")
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()


def test_a_line_is_json_with_the_time_and_its_offset(log: Log) -> None:
    log.logger.info("stored", extra={"media": "m1", "size": 5})
    (line,) = log.lines
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line == {
        "level": "INFO",
        "logger": "test",
        "message": "stored",
        "media": "m1",
        "size": 5,
    }


def test_a_request_is_not_written_and_an_exception_only_without_its_number(
    log: Log,
) -> None:
    request = RequestFactory().get("/media/1/?token=abcdef")
    try:
        raise OSError("no such file: whatsapp:+14335551212/1716120082-0-3fa9.jpeg")
    except OSError:
        log.logger.exception(
            "Internal Server Error: %s",
            request.get_full_path(),
            extra={"request": request},
        )
    (line,) = log.lines
    assert "request" not in line
    assert "abcdef" not in str(line) and "14335551212" not in str(line)
    assert "whatsapp:…1212/" in line["exception"]


def test_an_outage_is_one_line_a_minute(log: Log) -> None:
    for _ in range(1000):
        log.logger.error(
            "Service Unavailable: %s", "/webhooks/meta/", extra={"status_code": 503}
        )
    log.now = QUIET_SECONDS
    log.logger.error(
        "Service Unavailable: %s", "/webhooks/meta/", extra={"status_code": 503}
    )
    assert [line.get("left_out") for line in log.lines] == [None, 999]


def test_what_a_forked_process_wrote_is_not_written_again() -> None:
    once = OncePerOutage(memory=Memory())
    record = logging.LogRecord("test", logging.ERROR, "", 1, "down", None, None)
    child = os.fork()
    if not child:
        os._exit(0 if once.filter(record) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not once.filter(record)


def test_what_differs_is_written(log: Log) -> None:
    for status in (503, 500):
        log.logger.error("%s: %s", "x", "/", extra={"status_code": status})
    for _ in range(3):
        log.logger.info("stored")
    assert len(log.lines) == 5


def test_foreign_hosts_are_one_line() -> None:
    once, passed = OncePerOutage(memory=Memory()), 0
    for number in range(50):
        text = f"Invalid HTTP_HOST header: 'scanner{number}.example'."
        record = logging.LogRecord(
            "django.security.DisallowedHost", logging.ERROR, "", 1, text, None, None
        )
        passed += bool(once.filter(record))
    assert passed == 1
