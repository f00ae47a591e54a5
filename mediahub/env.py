"""The environment, read in one place. ``.env.example`` has a line for each name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

from mediahub import logs

BASE_DIR = Path(__file__).resolve().parent.parent
# Their presence tells that this is a container: there 127.0.0.1 is reached by nobody outside.
_CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))


def read_file(path: Path) -> None:
    """Take in what ``.env`` says and the environment does not. Without the file there is nothing to
    do.
    """
    try:
        with path.open(encoding="utf-8") as file:
            environ.Env.read_env(file)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        reason: str | None = "it is not UTF-8"
        if isinstance(error, OSError):
            reason = error.strerror
        raise ImproperlyConfigured(
            f"{path} is there but cannot be read: {reason}."
        ) from error


read_file(BASE_DIR / ".env")


def text(name: str, default: str = "") -> str:
    """The value of NAME, or the content of the file that NAME_FILE points to.

    Raises ImproperlyConfigured when that file cannot be read: a secret that silently
    turns empty would switch a check off.
    """
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE: {path} cannot be read: {error.strerror}"
            ) from error
    return os.environ.get(name, default).strip()


def names(name: str, default: str = "") -> list[str]:
    """A comma list; of a secret, the new one first and the old ones after it."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def networks(name: str, default: str) -> list[str]:
    """A comma list of IP addresses and networks like 10.0.0.0/8."""
    found = names(name, default)
    for network in found:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} must hold addresses like 10.0.0.5 or 10.0.0.0/8: {error}."
            ) from error
    return found


def flag(name: str, default: bool = False) -> bool:
    """``1 true yes on`` are true; ``0 false no off`` and nothing are false; anything else is an
    error.
    """
    value = text(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value == "":
        return default
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}")


def number(name: str, default: int, *, least: int | None = None) -> int:
    """A whole number, not below ``least``."""
    value = text(name)
    try:
        found = int(value) if value else default
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} must be a whole number, not {value!r}"
        ) from error
    if least is not None and found < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {found}.")
    return found


def is_local(host: str) -> bool:
    """Whether a host name is one of this machine alone."""
    name = host.strip("[]").removeprefix(".")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def choice(name: str, options: tuple[str, ...]) -> str:
    """One of the options; the first one by default."""
    value = text(name, options[0]) or options[0]
    if value not in options:
        raise ImproperlyConfigured(
            f"{name} must be one of {', '.join(options)}, not {value!r}"
        )
    return value


def database(name: str, default: str) -> dict[str, Any]:
    """Django's settings of the database at an address like
    ``postgres://user:password@host:5432/name``.
    """
    url = text(name, default)
    if not url:
        raise ImproperlyConfigured(
            f"{name} is empty. Write an address there, or remove the line to use SQLite."
        )
    scheme = url.partition(":")[0]
    if scheme not in ("postgres", "postgresql", "psql", "pgsql", "sqlite"):
        # Not the whole: it has the password.
        raise ImproperlyConfigured(
            f"{name} must begin with postgres:// or sqlite:///, not {scheme!r}."
        )
    try:
        return dict(environ.Env.db_url_config(url))
    except ValueError as error:
        hint = "Percent-encode special characters of the password."
        raise ImproperlyConfigured(
            f"{name} is not an address of a database. {hint}"
        ) from error


def log_level() -> str:
    """LOG_LEVEL, in capitals."""
    value = text("LOG_LEVEL", logs.LEVELS[0]).upper() or logs.LEVELS[0]
    if value not in logs.LEVELS:
        raise ImproperlyConfigured(
            f"LOG_LEVEL must be one of {', '.join(logs.LEVELS)}, not {value!r}."
        )
    return value


def time_zone() -> str:
    """TIME_ZONE, a name of the IANA database."""
    value = text("TIME_ZONE") or "UTC"
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError) as error:
        raise ImproperlyConfigured(
            f"TIME_ZONE must be a name like Europe/Berlin or UTC, not {value!r}."
        ) from error
    return value


def listening_address() -> str:
    """Where the web server listens: BIND:PORT. By default only on this machine; in a container,
    everywhere.
    """
    host = text("BIND") or ("0.0.0.0" if in_container() else "127.0.0.1")  # noqa: S104
    port = number("PORT", 8000)
    if not 0 < port < 65536:
        raise ImproperlyConfigured(f"PORT must be between 1 and 65535, not {port}.")
    if ":" in host:
        host = f"[{host}]"
    return f"{host}:{port}"


def in_container(environment: Mapping[str, str] = os.environ) -> bool:
    return "KUBERNETES_SERVICE_HOST" in environment or any(
        path.exists() for path in _CONTAINER_FILES
    )
