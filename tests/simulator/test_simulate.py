"""The simulate command: a whole burst against a whole hub, and plain words where that can't be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError
from pytest_django.fixtures import Settings

from mediahub.env import BASE_DIR
from simulator.hub import Hub
from simulator.listener import Listener, Response
from simulator.management.commands.demo import Command as Demo
from simulator.management.commands.simulate import Command
from simulator.processes import free_port
from simulator.provider import SimulatedProvider


def simulate(hub: Hub, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command as its own process; its exit code and what it reports."""
    command = [
        sys.executable,
        str(BASE_DIR / "manage.py"),
        "simulate",
        "--json",
        *options,
    ]
    done = subprocess.run(
        command,
        env=hub.simulator_env,
        cwd=BASE_DIR,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub whose providers nobody plays yet."""
    planned = SimulatedProvider()
    hub = Hub(
        tmp_path / "hub",
        api_url=planned.api_url,
        cdn_host=planned.cdn_host,
        web_processes=1,
        sweep_every=2,
    )
    with hub:
        yield hub


def test_a_burst_of_everything_arrives_and_is_told_in_numbers(hub: Hub) -> None:
    code, report = simulate(
        hub,
        "--provider",
        "both",
        "--mix",
        "--photos",
        "2",
        "--senders",
        "4",
        "--timeout",
        "180",
    )
    assert (code, report["problems"]) == (0, [])
    assert (report["announced"], report["verified"], report["objects"]) == (24, 24, 24)
    assert (report["messages"], report["contacts"], report["doubled"]) == (28, 4, 0)
    assert {name: tally["verified"] for name, tally in report["tallies"].items()} == {
        "meta": 12,
        "twilio": 12,
    }
    assert set(report["webhooks"]["statuses"]) == {"200"}


def test_a_hub_without_workers_is_reported_and_fails(hub: Hub) -> None:
    hub.worker.stop()
    code, report = simulate(hub, "--photos", "1", "--senders", "2", "--timeout", "3")
    assert code == 1
    assert (
        report["announced"],
        report["stored"],
        report["tallies"]["meta"]["waiting"],
    ) == (2, 0, 2)


@pytest.mark.django_db
def test_a_provider_that_plays_already_is_used(
    provider: SimulatedProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command(Command(), "--senders", "0")
    assert "0 messages, 0 contacts, 0 objects, 0 doubled" in capsys.readouterr().out


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "2 messages refused, 0 problems$"),
        (
            400,
            "its ALLOWED_HOSTS, here: testserver, 127.0.0.1, localhost.* If 127.0.0.1 is not "
            "among them",
        ),
        (403, "The hub's secrets, or its PUBLIC_URL, are not those of this command"),
    ],
)
def test_messages_that_the_hub_refused_fail_the_run(
    provider: SimulatedProvider, status: int, said: str
) -> None:
    port = free_port()
    closed = Listener(port, lambda request: Response(status=status))
    closed.start()
    try:
        with pytest.raises(CommandError, match=said):
            call_command(
                Command(),
                "--photos",
                "1",
                "--senders",
                "2",
                "--url",
                f"http://127.0.0.1:{port}",
            )
    finally:
        closed.stop()


@pytest.mark.parametrize("command", [Demo(), Command()])
def test_help_has_an_example(
    command: BaseCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    name = command.__module__.rpartition(".")[2]
    command.print_help("manage.py", name)
    assert f"python manage.py {name}" in capsys.readouterr().out


def test_product_has_no_simulator() -> None:
    assert not {"demo", "simulate"} & get_commands().keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("META_GRAPH_URL", "https://graph.facebook.com"),
        ("META_GRAPH_URL", "http://10.0.0.1:9101"),
        ("META_MEDIA_HOSTS", ["fbsbx.com"]),
    ],
)
def test_real_providers_are_never_simulated_against(
    provider: SimulatedProvider, settings: Settings, name: str, value: object
) -> None:
    setattr(settings, name, value)
    with pytest.raises(
        CommandError, match=r"META_GRAPH_URL=http://127\.0\.0\.1:9101 META_MEDIA_HOSTS="
    ):
        call_command(Command(), "--senders", "0")


def test_a_missing_secret_is_named(
    provider: SimulatedProvider, settings: Settings
) -> None:
    settings.META_APP_SECRET = []
    with pytest.raises(CommandError, match="META_APP_SECRET"):
        call_command(Command(), "--senders", "0")


def test_a_stranger_on_the_port_is_told(
    settings: Settings, provider: SimulatedProvider
) -> None:
    port = free_port()
    settings.META_GRAPH_URL = f"http://127.0.0.1:{port}"
    stranger = Listener(port, lambda request: Response(status=200))
    stranger.start()
    try:
        with pytest.raises(CommandError, match=f"{port} .* must be free"):
            call_command(Command(), "--senders", "0")
    finally:
        stranger.stop()
