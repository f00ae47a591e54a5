"""The environment, read in one place. ``.env.example`` has a line for each name."""

from __future__ import annotations

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

environ.Env.read_env(BASE_DIR / ".env")


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
            raise ImproperlyConfigured(f"{name}_FILE: {path} cannot be read: {error.strerror}") from error
    return os.environ.get(name, default).strip()


def names(name: str, default: str = "") -> list[str]:
    """A comma list; of a secret, the new one first and the old ones after it."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def flag(name: str, default: bool = False) -> bool:
    """``1 true yes on`` are true; ``0 false no off`` and nothing are false; anything else is an error."""
    value = text(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value == "":
        return default
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}")


def number(name: str, default: int) -> int:
    """A whole number."""
    value = text(name)
    try:
        return int(value) if value else default
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}") from error


def choice(name: str, options: tuple[str, ...]) -> str:
    """One of the options; the first one by default."""
    value = text(name, options[0]) or options[0]
    if value not in options:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(options)}, not {value!r}")
    return value
