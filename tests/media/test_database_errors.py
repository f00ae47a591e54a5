"""What an error of the database means, by the codes of both databases."""

from __future__ import annotations

import sqlite3

import psycopg.errors
import pytest
from django.db import DataError, Error, InterfaceError, InternalError, OperationalError

from media_app.database_errors import described, is_connection_lost, is_outage


def caused(error: Error, cause: Exception) -> Error:
    error.__cause__ = cause
    return error


def sqlite(code: int) -> Error:
    cause = sqlite3.OperationalError("x")
    cause.sqlite_errorcode = code
    return caused(OperationalError("x"), cause)


LOST = [
    InterfaceError("the connection is closed"),
    caused(OperationalError("x"), psycopg.errors.AdminShutdown("x")),
    caused(InternalError("x"), psycopg.errors.IdleInTransactionSessionTimeout("x")),
]
BUSY = [
    caused(OperationalError("x"), psycopg.errors.DeadlockDetected("x")),
    caused(OperationalError("x"), psycopg.errors.LockNotAvailable("x")),
    sqlite(sqlite3.SQLITE_BUSY),
    sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT),
    sqlite(sqlite3.SQLITE_FULL),
]
OTHERS = [
    caused(OperationalError("x"), psycopg.errors.QueryCanceled("x")),
    caused(OperationalError("x"), psycopg.errors.DiskFull("x")),
    caused(OperationalError("x"), psycopg.errors.ProgramLimitExceeded("x")),
    caused(InternalError("x"), psycopg.errors.InFailedSqlTransaction("x")),
    sqlite(sqlite3.SQLITE_ERROR),
    DataError("x"),
]


@pytest.mark.parametrize(
    ("error", "lost", "outage"),
    [
        *((error, True, True) for error in LOST),
        *((error, False, True) for error in BUSY),
        *((error, False, False) for error in OTHERS),
    ],
)
def test_an_outage_is_told_from_a_fault(error: Error, lost: bool, outage: bool) -> None:
    assert (is_connection_lost(error), is_outage(error)) == (lost, outage)


def test_an_error_is_described_without_its_words() -> None:
    error = caused(
        OperationalError("+4915112345678"),
        psycopg.errors.QueryCanceled("+4915112345678"),
    )
    assert described(error) == "OperationalError (57014)"
    assert described(sqlite(5)) == "OperationalError (5)"
    assert described(ValueError("+4915112345678")) == "ValueError (no code)"
