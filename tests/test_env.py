from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from mediahub import env
from mediahub.env import BASE_DIR


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("META_APP_SECRET_FILE", str(tmp_path / "secret"))
    assert env.text("META_APP_SECRET") == "from the file"


def test_a_secret_file_that_cannot_be_read_is_an_error_not_an_empty_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("META_APP_SECRET_FILE", "/nowhere/secret")
    with pytest.raises(ImproperlyConfigured, match="META_APP_SECRET_FILE"):
        env.text("META_APP_SECRET")


def test_a_list_is_new_and_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_SECRET", " new, old ,")
    assert env.names("X_SECRET") == ["new", "old"]


@pytest.mark.parametrize(("read", "value"), [(env.flag, "maybe"), (lambda name: env.number(name, 1), "many")])
def test_a_value_that_means_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch, read: object, value: str) -> None:
    monkeypatch.setenv("X_VALUE", value)
    with pytest.raises(ImproperlyConfigured, match="X_VALUE"):
        read("X_VALUE")  # type: ignore[operator]


def test_every_name_that_is_read_has_a_line_in_the_example() -> None:
    example = (BASE_DIR / ".env.example").read_text()
    listed = {line.split("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")}
    source = (BASE_DIR / "mediahub" / "settings.py").read_text()
    read = {
        part.split('"')[1]
        for part in source.split("env.")[1:]
        if part.startswith(("text(", "names(", "flag(", "number(", "choice("))
    }
    assert read <= listed
    assert len(read) > 25
