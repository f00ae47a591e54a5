"""Messages that Twilio received while the hub was down.

``python -m bench.backfill --messages 5000``: nothing of the hub runs but ``backfill_media
--list-messages``, which is killed a few times, then runs to its end, then once more. Prints a line
for each database; exits 1 unless each message is there once, each photo is stored, and there is no
session and no reply.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mediahub.env import BASE_DIR
from simulator.customer import Customer
from simulator.hub import Hub
from simulator.ledger import AnnouncedMessage
from simulator.provider import SimulatedProvider
from tests.hubs import postgres, stored

SENDERS = 20
ANOTHER_RUNS = 11
COMMAND = ("backfill_media", "--list-messages", "--json", "--workers", "8")
COUNTS = """
from messages_app.models import *
print(Message.objects.count(), Message.objects.filter(origin="listed").count(),
      PhotoSession.objects.count(), OutboxItem.objects.count())
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    options = parser.parse_args()
    problems: list[str] = []
    for database in options.database or ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory() as directory:
            problems += _run(Path(directory), database, options.messages, options.kills)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _run(directory: Path, database: str, messages: int, kills: int) -> list[str]:
    with ExitStack() as stack:
        env: Mapping[str, str] = {}
        if database == "postgres":
            env = stack.enter_context(postgres(directory))[1]
        provider = stack.enter_context(SimulatedProvider())
        said = _said(messages)
        provider.hear(*said)
        hub = Hub(
            directory / "hub",
            api_url=provider.api_url,
            cdn_host=provider.cdn_host,
            env=env,
        )
        hub.manage("migrate", "--noinput", "--verbosity", "0")
        began = time.monotonic()
        for _ in range(kills):
            _killed(hub, after=messages / 20 / (kills + 1))
        first = _counts(hub)
        total = time.monotonic() - began
        second = _counts(hub)
        rows = hub.manage("shell", "--verbosity", "0", "--command", COUNTS).split()
        megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        print(
            f"{database}: {messages} messages, {stored(hub)} photos stored in {total:.0f} s "
            f"with {kills} kills, at most {megabytes} MB; the last runs say {first}, {second}"
        )
        photos = sum(message.file is not None for message in said)
        expected = [str(messages), str(messages), "0", "0"]
        problems = []
        if rows[-4:] != expected:
            problems.append(f"{database}: messages, listed, sessions, replies: {rows}")
        if stored(hub) != photos:
            problems.append(f"{database}: {stored(hub)} of {photos} photos are stored")
        if second != {"messages_listed": messages, "messages_imported": 0}:
            problems.append(f"{database}: the second run says {second}")
        return problems


def _said(messages: int) -> list[AnnouncedMessage]:
    """Each sender says SELL first; all else are photos, one each second until last midnight."""
    midnight = int(time.time()) // 86_400 * 86_400
    customers = [
        Customer(number=f"+1433555{number:04}", provider="twilio")
        for number in range(SENDERS)
    ]
    for number in range(messages):
        customer, at = customers[number % SENDERS], midnight - messages + number
        if number < SENDERS:
            customer.say("SELL", at)
        else:
            customer.photo(at)
    return [message for each in customers for message in each.ledger.messages]


def _killed(hub: Hub, *, after: float) -> None:
    """Kill a run so many seconds after it began to work."""
    process, _ = _begun(hub)
    time.sleep(after)
    process.kill()
    process.communicate()


def _counts(hub: Hub) -> dict[str, Any]:
    """Of a run to its end."""
    process, first = _begun(hub)
    out, _ = process.communicate()
    counts: dict[str, Any] = json.loads((first + out).splitlines()[-1])["counts"]
    return counts


def _begun(hub: Hub) -> tuple[subprocess.Popen[str], str]:
    """A run and its first line. It begins when the lease of a killed one has ended."""
    while True:
        process = subprocess.Popen(
            [sys.executable, str(BASE_DIR / "manage.py"), *COMMAND],
            env={**hub.env, "PYTHONUNBUFFERED": "1"},
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        if first := process.stdout.readline():
            return process, first
        assert process.wait() == ANOTHER_RUNS, process.returncode
        time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
