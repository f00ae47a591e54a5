from __future__ import annotations

import json
import logging
import signal
import time
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error, close_old_connections

from media_app import jobs as media_jobs
from media_app.models import Media
from messages_app import conversations, inbox, outbox
from messages_app.models import Delivery, DrainLease

log = logging.getLogger(__name__)

# A retry is due at its own second; between the passes a look at the files alone is enough for it.
LOOK_SECONDS = 2.0


class Command(BaseCommand):
    help = """Find the work that no hint told of: read what came in, queue the files and replies that are due,
end the sessions that fell silent.

Everything waiting is in the database, so this alone makes the hub whole again after
Redis, workers or web servers were lost. Any number of sweepers may run.

  python manage.py sweep              one pass, then exit 0
  python manage.py sweep --every 20   a pass every 20 seconds, until SIGTERM
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, metavar="SECONDS", help="repeat until stopped")
        parser.add_argument("--json", action="store_true", help="the counts as JSON (of a single pass)")

    def handle(self, *args: Any, **options: Any) -> None:
        every: float | None = options["every"]
        if every is None:
            read, queued = _sweep_whole()
            if options["json"]:
                self.stdout.write(json.dumps({"read": read, "queued": queued}))
            else:
                self.stdout.write(f"{read} deliveries read, {queued} files queued")
            return
        # Not an Event: its lock may be held by the very wait that the signal interrupts.
        asked_to_stop: list[int] = []
        next_pass = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: asked_to_stop.append(number))
        while not asked_to_stop:
            try:
                if time.monotonic() >= next_pass:
                    next_pass = time.monotonic() + every
                    read, queued = _sweep()
                    if read or queued:
                        log.info("swept", extra={"read": read, "queued": queued})
                else:
                    close_old_connections()
                    media_jobs.queue_due()
                    media_jobs.queue_previews()
                    outbox.wake()
            except Error as error:
                log.warning("no sweep this time: the database failed", extra={"error": str(error)})
            except Exception:
                # The next pass may do better, and the others' work waits for it.
                log.exception("a sweep failed")
            until = time.monotonic() + min(every, LOOK_SECONDS)
            while not asked_to_stop and time.monotonic() < until:
                time.sleep(0.1)


def _sweep_whole() -> tuple[int, int]:
    """A pass that leaves no delivery unread: a drainer that is at work, or was killed at it, is waited for."""
    read, queued = _sweep()
    until = time.monotonic() + 2 * DrainLease.DURATION.total_seconds()
    while Delivery.objects.due().exists() and time.monotonic() < until:
        time.sleep(0.5)
        more = _sweep()
        read, queued = read + more[0], queued + more[1]
    return read, queued


def _sweep() -> tuple[int, int]:
    """How many deliveries were read and files queued. What stops the one does not stop the other."""
    close_old_connections()
    try:
        read = inbox.drain()
        conversations.expire()
        conversations.settle()
        outbox.overdue()
        outbox.wake()
    finally:
        queued = media_jobs.queue_due()
        media_jobs.queue_previews()
        if Media.objects.unpurged().exists():
            media_jobs.wake_purge()
    return read, queued
