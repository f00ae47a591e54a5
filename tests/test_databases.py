"""The options of the database's connections, by what a process does and what the URL says."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import environ
import pytest

from mediahub.databases import databases, serve_pages
from mediahub.env import BASE_DIR

POSTGRES = "postgres://hub:secret@db.example:5432/hub"


def on(url: str) -> dict[str, dict[str, Any]]:
    return databases(environ.Env.db_url_config(url))


@pytest.fixture(autouse=True)
def no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAHUB_ROLE", "")


def test_webhooks_and_pages_share_a_database_but_no_connections() -> None:
    found = on(POSTGRES)
    assert found["default"]["NAME"] == found["webhooks"]["NAME"] == "hub"
    pools = [found[alias]["OPTIONS"]["pool"] for alias in ("default", "webhooks")]
    assert [pool["max_size"] for pool in pools] == [16, 8]
    assert all(pool["reconnect_timeout"] <= 2 for pool in pools)


def test_only_a_web_servers_pages_have_limits() -> None:
    assert "statement_timeout" not in on(POSTGRES)["default"]["OPTIONS"]["options"]
    serve_pages()
    assert (
        "-c lock_timeout=5s -c statement_timeout=15s"
        in on(POSTGRES)["default"]["OPTIONS"]["options"]
    )


@pytest.mark.parametrize(
    ("module", "limited"), [("mediahub.wsgi", True), ("mediahub.urls", False)]
)
def test_the_web_server_knows_that_it_is_one(module: str, limited: bool) -> None:
    code = (
        "from django.conf import settings; "
        "print(settings.DATABASES['default']['OPTIONS']['options'])"
    )
    setup = (
        f"import django; django.setup(); import {module}"
        if not limited
        else f"import {module}"
    )
    env = {
        **os.environ,
        "DATABASE_URL": POSTGRES,
        "DJANGO_SETTINGS_MODULE": "mediahub.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"{setup}; {code}"],
        env=env,
        cwd=BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
    )
    assert ("statement_timeout" in done.stdout) == limited


@pytest.mark.parametrize("url", [POSTGRES, "sqlite:////srv/hub.sqlite3"])
def test_a_webhook_waits_less_than_its_provider(url: str) -> None:
    options = on(url)["webhooks"]["OPTIONS"]
    if "pool" in options:
        assert options["pool"]["timeout"] == 4
        assert "-c lock_timeout=4s -c statement_timeout=4s" in options["options"]
    else:
        assert (
            options["timeout"] == 4 and "busy_timeout=4000" in options["init_command"]
        )


def test_a_host_that_is_frozen_or_gone_is_noticed() -> None:
    options = on(POSTGRES)["default"]["OPTIONS"]
    assert "-c idle_in_transaction_session_timeout=30s" in options["options"]
    assert "-c tcp_user_timeout=30000" in options["options"]
    assert (options["keepalives"], options["tcp_user_timeout"]) == (1, 30_000)


def test_what_the_url_says_wins() -> None:
    options = on(
        f"{POSTGRES}?sslmode=require&connect_timeout=9&options=-c%20lock_timeout=9s"
    )["webhooks"]["OPTIONS"]
    assert (options["sslmode"], options["connect_timeout"]) == ("require", 9)
    assert options["options"].endswith("-c lock_timeout=9s")
