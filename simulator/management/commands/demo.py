from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mediahub.env import BASE_DIR
from simulator.customer import Customer
from simulator.hub import Hub
from simulator.posting import send
from simulator.processes import free_port, is_free
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from simulator.visitor import VisitError, look_at_a_file

USERNAME = "admin"
PORT = 8000
ANSWERED_WITHIN = 20.0


class Command(BaseCommand):
    help = """Show the whole hub at work on this machine, with nothing to set up.

Starts the web server, the workers, the sweeper, an embedded Redis-compatible server and
simulated providers; has their customers send photos, videos, voice notes and documents
in one burst; waits until all are stored; and leaves the admin open for a look around.

  python manage.py demo          until Ctrl-C
  python manage.py demo --once   exit 0 when everything arrived, otherwise 1

Everything it writes is in .demo/, deleted and made again each time.
"""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once",
            action="store_true",
            help="exit after the burst instead of staying up",
        )
        parser.add_argument(
            "--port",
            type=int,
            help=f"where the admin listens ({PORT}, or any free one)",
        )
        parser.add_argument(
            "--photos", type=int, default=3, help="photos from each sender (3)"
        )
        parser.add_argument(
            "--senders", type=int, default=20, help="customers who send at once (20)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _interrupt)
        directory = BASE_DIR / ".demo"
        shutil.rmtree(directory, ignore_errors=True)
        try:
            self._show(directory, options)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def _show(self, directory: Path, options: dict[str, Any]) -> None:
        password = secrets.token_urlsafe(9)
        port = options["port"] or (PORT if is_free(PORT) else free_port())
        self.stdout.write(
            "Starting web server, workers, sweeper, Redis and the simulated providers …"
        )
        with (
            SimulatedProvider() as provider,
            Shop() as shop,
            Hub(
                directory,
                api_url=provider.api_url,
                cdn_host=provider.cdn_host,
                port=port,
                sweep_every=5,
                env=shop.env,
            ) as hub,
        ):
            hub.manage(
                "createsuperuser",
                "--noinput",
                DJANGO_SUPERUSER_USERNAME=USERNAME,
                DJANGO_SUPERUSER_PASSWORD=password,
                DJANGO_SUPERUSER_EMAIL="admin@localhost",
            )
            self.stdout.write("Sending a burst of signed webhooks, each three times …")
            complete = self._simulate(hub, options)
            looked = self._look(hub, password)
            self.stdout.write("\nA customer sells something:")
            handed_over = self._talk(hub, provider, shop)
            self.stdout.write(
                f"\nAdmin   {hub.url}/admin/\nLogin   {USERNAME}\nPassword {password}\n"
            )
            if options["once"]:
                if not (complete and looked and handed_over):
                    raise CommandError(
                        f"The demo did not end well; the logs are in {directory.name}/."
                    )
                return
            self.stdout.write("Look around; Ctrl-C ends it.")
            while True:
                signal.pause()

    def _simulate(self, hub: Hub, options: dict[str, Any]) -> bool:
        command = [
            sys.executable,
            str(BASE_DIR / "manage.py"),
            "simulate",
            "--provider",
            "both",
            "--mix",
        ]
        command += [
            "--photos",
            str(options["photos"]),
            "--senders",
            str(options["senders"]),
        ]
        done = subprocess.run(command, env=hub.simulator_env, cwd=BASE_DIR, check=False)
        return done.returncode == 0

    def _look(self, hub: Hub, password: str) -> bool:
        try:
            glance = look_at_a_file(hub.url, username=USERNAME, password=password)
        except VisitError as error:
            self.stdout.write(f"A look at the admin failed: {error}")
            return False
        self.stdout.write(
            f"Signed in and fetched {glance.content_range or glance.status} of {glance.url}"
        )
        return glance.status == 206 and len(glance.body) == 100

    def _talk(self, hub: Hub, provider: SimulatedProvider, shop: Shop) -> bool:
        """A photo session from SELL to its hand-over, printed as it is said."""
        customer, at = Customer(number="+14335550100", name="Sofía"), time.time() - 30
        photos = [customer.photo(at + number) for number in range(1, 4)]
        for shown, requests in (
            ("SELL", [customer.say("SELL", at)]),
            ("three photos", photos),
            ("done", [customer.say("done", at + 5)]),
            ("A scratch on one leg.", [customer.say("A scratch on one leg.", at + 10)]),
        ):
            sent_before = len(provider.sends)
            self.stdout.write(f"  customer  {shown}")
            send(requests, hub.url)
            if not _replied(provider, sent_before):
                self.stdout.write(f"  no reply within {ANSWERED_WITHIN:g} s")
                return False
            for reply in provider.sends[sent_before:]:
                self.stdout.write(f"  hub       {reply.text}")
        if not _within(ANSWERED_WITHIN, lambda: bool(shop.received)):
            self.stdout.write("  The session was not handed over.")
            return False
        summary = shop.received[-1].summary
        self.stdout.write(
            f"Handed over to the business: {len(summary['photos'])} photos, «{summary['details']}»"
        )
        return len(summary["photos"]) == len(photos)


def _replied(provider: SimulatedProvider, before: int) -> bool:
    return _within(ANSWERED_WITHIN, lambda: len(provider.sends) > before)


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
