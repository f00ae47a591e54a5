"""What an error of the database means for the work that met it."""

from __future__ import annotations

from django.db import Error, InterfaceError, OperationalError, connection

# https://www.postgresql.org/docs/current/errcodes-appendix.html
# Connection exceptions, shutdowns and crashes, and transactions that were cut off because they did
# nothing.
_LOST = ("08", "57P", "25P03")
# Deadlocks and serialization failures, and locks that did not come in time.
_BUSY = ("40", "55P03")
# https://www.sqlite.org/rescode.html: SQLITE_BUSY, SQLITE_LOCKED
_SQLITE_BUSY = {5, 6}
# SQLITE_ERROR, SQLITE_INTERRUPT and SQLITE_TOOBIG; other codes are faults of the disk or the file.
_SQLITE_STATEMENT = {1, 9, 18}


def is_connection_lost(error: BaseException) -> bool:
    """Whether the database was away, or went away, rather than refused something."""
    # The last is an InternalError to psycopg: the code counts, not the class.
    if isinstance(error, InterfaceError) or _sqlstate(error).startswith(_LOST):
        return True
    if not isinstance(error, OperationalError) or _sqlite_code(error) is not None:
        return False
    # What does not come from the server has no code: there is no connection, or it ended.
    return not _sqlstate(error) and connection.vendor == "postgresql"


def is_outage(error: BaseException) -> bool:
    """Whether the database was away or busy with others, so that the error says nothing about the
    statement.
    """
    if is_connection_lost(error):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = _sqlite_code(error)
    if code is not None:
        return code not in _SQLITE_STATEMENT
    # Without any code nothing is known of it.
    return not _sqlstate(error) or _sqlstate(error).startswith(_BUSY)


def is_locked(error: BaseException) -> bool:
    """Whether another transaction's lock was not released in time."""
    return isinstance(error, OperationalError) and (
        _sqlite_code(error) in _SQLITE_BUSY or _sqlstate(error) == "55P03"
    )


def is_too_slow(error: BaseException) -> bool:
    """Whether the statement was cut off because it took too long."""
    return isinstance(error, OperationalError) and _sqlstate(error) == "57014"


def is_beyond_limits(error: BaseException) -> bool:
    """Whether PostgreSQL can't hold such a thing at all (class 54), which it calls an operational
    error.
    """
    return isinstance(error, OperationalError) and _sqlstate(error).startswith("54")


def described(error: BaseException) -> str:
    """Its class and code and no more: its text quotes rows, with people's numbers."""
    code: str | int | None = _sqlstate(error)
    if not code and isinstance(error, Error):
        code = _sqlite_code(error)
    if code in ("", None):
        code = "no code"
    return f"{type(error).__name__} ({code})"


def _sqlstate(error: BaseException) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _sqlite_code(error: BaseException) -> int | None:
    """SQLite's primary result code; None where the error is not SQLite's."""
    code: int | None = getattr(error.__cause__, "sqlite_errorcode", None)
    if code is None:
        return None
    return code & 0xFF
