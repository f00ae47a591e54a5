from __future__ import annotations

import json
import logging
import signal
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, close_old_connections, connection

from media_app import jobs as media_jobs
from media_app import public_copies
from media_app.database_errors import described, is_connection_lost
from media_app.models import Media
from messages_app import (
    inbox,
    outbox_queues,
    outbox_results,
    rebuilds,
    session_timers,
)
from messages_app.erasing import flow as erasures
from messages_app.models import Delivery, DrainLease

log = logging.getLogger(__name__)

# Between two passes the retries that are due are queued this often.
LOOK_SECONDS = 2.0


class Command(BaseCommand):
    help = """Find work that was not enqueued: read deliveries, queue the files and replies
that are due, end silent sessions.

Everything that waits is in the database: after a loss of Redis, workers or web servers
this command alone brings everything on. Any number of sweepers may run.

  python manage.py sweep              one pass, then exit 0
  python manage.py sweep --every 20   a pass every 20 seconds, until SIGTERM
"""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=float, metavar="SECONDS", help="repeat until stopped"
        )
        parser.add_argument(
            "--json", action="store_true", help="the counts as JSON (of a single pass)"
        )

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
            if time.monotonic() >= next_pass:
                next_pass = time.monotonic() + every
                done = _sweep(DUTIES)
                if done.get(READ) or done.get(QUEUE):
                    log.info(
                        "swept",
                        extra={"read": done.get(READ), "queued": done.get(QUEUE)},
                    )
                if done.get(READ):
                    # A drain ends after some seconds: there may be more.
                    next_pass = 0.0
            else:
                _sweep(BETWEEN_PASSES)
            until = time.monotonic() + min(every, LOOK_SECONDS)
            while not asked_to_stop and time.monotonic() < until:
                time.sleep(0.1)


READ, QUEUE = "read deliveries", "queue files"
#: What a pass does, in this order. Each duty is bounded, and an error in one does not stop the
#: others.
DUTIES: dict[str, Callable[[], int]] = {
    READ: lambda: inbox.drain(),
    "rebuild sessions": lambda: rebuilds.rebuild_due(),
    "end silent sessions": lambda: session_timers.expire_silent(),
    "recheck sessions": lambda: session_timers.recheck_unsettled(),
    "end overdue replies": lambda: outbox_results.finish_overdue(),
    "enqueue senders": lambda: outbox_queues.enqueue_senders(),
    QUEUE: lambda: media_jobs.enqueue_fetches(),
    "queue previews": lambda: media_jobs.enqueue_previews(),
    "enqueue purge": lambda: (
        Media.objects.unpurged().exists() and media_jobs.enqueue_purge()
    ),
    "enqueue public copies": lambda: (
        public_copies.due().exists() and media_jobs.enqueue_public_copies()
    ),
    # The last, because it may take long.
    "erase people": lambda: erasures.sweep(),
}
BETWEEN_PASSES = {
    name: DUTIES[name] for name in (QUEUE, "queue previews", "enqueue senders")
}


def _sweep(duties: Mapping[str, Callable[[], int]]) -> dict[str, int]:
    """What each duty returned. One that failed is logged and left out."""
    done: dict[str, int] = {}
    for name, duty in duties.items():
        close_old_connections()
        try:
            done[name] = duty()
        except Error as error:
            log.error(
                "a duty of the sweeper failed",
                extra={"duty": name, "error": described(error)},
            )
            if is_connection_lost(error) and not _database_answers():
                # Each of the others would only wait for the database.
                break
        except Exception:
            log.exception("a duty of the sweeper failed", extra={"duty": name})
    return done


def _database_answers() -> bool:
    connection.close()
    try:
        connection.ensure_connection()
    except Error:
        return False
    return True


def _sweep_whole() -> tuple[int, int]:
    """Passes until no delivery is unread and no erasure is on its way: waits for a drainer that is
    running or was killed.

    Returns how many deliveries were read and files queued. Raises CommandError when a duty failed.
    """
    wait_seconds = 2 * DrainLease.DURATION.total_seconds()
    read, queued, until = 0, 0, time.monotonic() + wait_seconds
    while True:
        done = _sweep(DUTIES)
        if failed := DUTIES.keys() - done.keys():
            raise CommandError(
                f"Failed: {', '.join(sorted(failed))}. The log says why."
            )
        read, queued = read + done[READ], queued + done[QUEUE]
        is_erasing = erasures.is_running()
        if done[READ] or is_erasing:
            until = time.monotonic() + wait_seconds
        is_left = is_erasing or Delivery.objects.due().exists()
        if not is_left or time.monotonic() >= until:
            return read, queued
        time.sleep(0.5)
