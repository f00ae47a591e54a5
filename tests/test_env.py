from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from mediahub import env
from mediahub.env import BASE_DIR


def test_a_secret_can_come_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("META_APP_SECRET_FILE", str(tmp_path / "secret"))
    assert env.text("META_APP_SECRET") == "from the file"


def test_a_secret_file_that_cannot_be_read_is_an_error_not_an_empty_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("META_APP_SECRET_FILE", "/nowhere/secret")
    with pytest.raises(ImproperlyConfigured, match="META_APP_SECRET_FILE"):
        env.text("META_APP_SECRET")


def test_a_list_is_new_and_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_SECRET", " new, old ,")
    assert env.names("X_SECRET") == ["new", "old"]


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (env.flag, "maybe"),
        (lambda name: env.number(name, 1), "many"),
        (lambda name: env.number(name, 1, least=0), "-1"),
    ],
)
def test_a_value_that_means_nothing_is_an_error(
    monkeypatch: pytest.MonkeyPatch, read: object, value: str
) -> None:
    monkeypatch.setenv("X_VALUE", value)
    with pytest.raises(ImproperlyConfigured, match="X_VALUE"):
        read("X_VALUE")  # type: ignore[operator]


def test_every_name_that_is_read_has_a_line_in_the_example() -> None:
    example = (BASE_DIR / ".env.example").read_text()
    listed = {
        line.split("=")[0]
        for line in example.splitlines()
        if "=" in line and not line.startswith("#")
    }
    source = "".join(path.read_text() for path in (BASE_DIR / "mediahub").glob("*.py"))
    source = re.sub(r"(?<![.\w])(text|number)\(", r"env.\1(", source)
    read = {
        part.split('"')[1]
        for part in source.split("env.")[1:]
        if part.startswith(
            ('text("', 'names("', 'flag("', 'number("', 'choice("', 'database("')
        )
    }
    assert read <= listed
    assert len(read) > 25


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is empty."),
        (
            "DATABASE_URL",
            "mysql://hub:pw1x@db/hub",
            "DATABASE_URL must begin with postgres://",
        ),
        (
            "DATABASE_URL",
            "postgres://hub:pw1x@db:port/hub",
            "DATABASE_URL is not an address",
        ),
        ("LOG_LEVEL", "verbose", "LOG_LEVEL must be one of"),
        ("TIME_ZONE", "Berlin", "TIME_ZONE must be a name like Europe/Berlin"),
        ("TIME_ZONE", "../etc/passwd", "TIME_ZONE must be a name like Europe/Berlin"),
        ("PORT", "http", "PORT must be a whole number"),
        ("PORT", "0", "PORT must be between 1 and 65535"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_clear_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=re.escape(said)) as error:
        (
            env.database("DATABASE_URL", "sqlite://"),
            env.log_level(),
            env.time_zone(),
            env.listening_address(),
        )
    assert "pw1x" not in str(error.value)


@pytest.mark.parametrize(
    ("bind", "environment", "listens"),
    [
        ("", {}, "127.0.0.1:8000"),
        ("", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "0.0.0.0:8000"),
        ("192.0.2.1", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "192.0.2.1:8000"),
        ("::1", {}, "[::1]:8000"),
    ],
)
def test_the_web_server_listens_here_or_in_a_container_everywhere(
    monkeypatch: pytest.MonkeyPatch,
    bind: str,
    environment: dict[str, str],
    listens: str,
) -> None:
    monkeypatch.setattr(env, "_CONTAINER_FILES", ())
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("BIND", bind)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert env.listening_address() == listens


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ".env"
    folder.mkdir()
    with pytest.raises(ImproperlyConfigured, match="cannot be read: Is a directory"):
        env.read_file(folder)
    (tmp_path / "latin1").write_bytes(b"SECRET_KEY=\xe4\n")
    with pytest.raises(ImproperlyConfigured, match="cannot be read: it is not UTF-8"):
        env.read_file(tmp_path / "latin1")
    env.read_file(tmp_path / "none")


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["-m", "gunicorn", "mediahub.wsgi", "--bind", "127.0.0.1:0"],
    ],
)
def test_a_process_that_cannot_start_says_why_without_a_traceback(
    command: list[str],
) -> None:
    environment = {**os.environ, "TIME_ZONE": "Berlin"}
    done = subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "TIME_ZONE must be a name like Europe/Berlin" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "https://hub.example"),
        ("PUBLIC_URL", "http://192.0.2.1:8000"),
        ("ALLOWED_HOSTS", "localhost,hub.example"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", ".local.example"),
    ],
)
def test_the_development_key_signs_nothing_for_the_outside(
    name: str, value: str
) -> None:
    """Everybody knows it: with it anybody would be staff."""
    for own in (
        {"SECRET_KEY": "", "DEBUG": "1"},
        {"SECRET_KEY": "insecure-development-key", "DEBUG": "0"},
    ):
        local = {
            "PUBLIC_URL": "http://localhost:8000",
            "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1],.localhost",
        }
        assert "cannot be used" not in _settings_error({**local, **own})
        assert f"cannot be used with {name}" in _settings_error(
            {**local, **own, name: value}
        )


def _settings_error(environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", "import mediahub.settings"]
    env = {**os.environ, **environment}
    return subprocess.run(
        command, env=env, cwd=BASE_DIR, capture_output=True, text=True, timeout=60
    ).stderr
