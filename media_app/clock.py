"""The clock that all hosts share: the database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection

_NOW = {
    # The start of the statement, not of the transaction: as ``Now()`` has it.
    "postgresql": "SELECT STATEMENT_TIMESTAMP()",
    "sqlite": "SELECT STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}


def database_now() -> datetime:
    """The time by the database's clock, aware, where Python has to compare it with times of rows.

    One query. In a query use ``Now()`` instead.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOW[connection.vendor], ())
        now: datetime | str = cursor.fetchone()[0]
    if isinstance(now, str):
        # SQLite has no times, only text.
        return datetime.fromisoformat(now).replace(tzinfo=UTC)
    return now


def just_after(moment: datetime) -> datetime:
    """For ``column__lt=just_after(moment)``: the column's time is not later than the moment, which
    was read from a row.

    ``column__lte=moment`` is wrong on SQLite, which compares texts: ``Now()`` writes a whole second
    with ``.000``, and Django passes it without.
    """
    return moment + timedelta(microseconds=1)
