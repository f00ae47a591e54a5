"""The simulate command: a whole burst against a whole hub, and plain words where that can't be."""

from __future__ import annotations

import pytest
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError
from pytest_django.fixtures import Settings

from simulator.listener import Listener, Response
from simulator.management.commands.demo import Command as Demo
from simulator.management.commands.simulate import Command
from simulator.processes import free_port
from simulator.provider import SimulatedProvider


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
            two = ["--photos", "1", "--senders", "2"]
            call_command(Command(), *two, "--url", f"http://127.0.0.1:{port}")
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
