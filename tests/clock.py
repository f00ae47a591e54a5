"""A database whose clock differs from this host's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import connection

_SHIFT = """
    CREATE SCHEMA shifted;
    CREATE FUNCTION shifted.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
        AS 'SELECT pg_catalog.statement_timestamp() + interval ''{seconds} seconds''';
    SET search_path = shifted, public, pg_catalog;
"""


@contextmanager
def database_clock(ahead: timedelta) -> Iterator[None]:
    """All that the ORM asks by ``Now()`` is ``ahead`` of this host's time (behind it where
    negative).

    Defaults of columns keep the real time on PostgreSQL. For tests inside a transaction.
    """
    if connection.vendor == "sqlite":
        _shift_sqlite(ahead)
        try:
            yield
        finally:
            # What was built in can't be had back by the name alone.
            _shift_sqlite(timedelta(0))
        return
    with connection.cursor() as cursor:
        cursor.execute(_SHIFT.format(seconds=ahead.total_seconds()))
        try:
            yield
        finally:
            cursor.execute("RESET search_path; DROP SCHEMA shifted CASCADE")


def _shift_sqlite(ahead: timedelta) -> None:
    """SQLite looks a function of the same name and number of arguments up before its own."""
    connection.ensure_connection()
    connection.connection.create_function(
        "STRFTIME",
        2,
        lambda *_: f"{datetime.now(UTC) + ahead:%Y-%m-%d %H:%M:%S.%f}"[:-3],
    )
