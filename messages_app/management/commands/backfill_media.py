"""Fetch what is announced and not stored."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from media_app import backfill, installation
from media_app.backfill import Attempted
from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand, RefusedError
from media_app.management.report import Report, StoppedError
from media_app.models import Media
from media_app.parallel import Parallel
from media_app.sources.errors import SourceError
from media_app.storage import media_storage
from messages_app import listing
from messages_app.listing import Period

AGAIN = (Media.State.EXPIRED, Media.State.REJECTED, Media.State.MISSING)
# A process has 16 connections to the database; each worker needs one, and now and then another.
MAX_WORKERS = 8


class Command(OperatorCommand):
    help = """Fetch the files that are announced and not stored, the newest first, in this process:
without workers and without Redis. Each file is attempted once in a run.

With --list-messages, what customers sent by Twilio and no webhook told of is imported first, from
the account's list of messages. Such messages open no session, and no reply is sent."""
    examples = (
        ("backfill_media", "fetch all that waits"),
        (
            "backfill_media --again expired,missing --since 2026-11-01 --workers 8",
            "try files of this month again, also those that were given up",
        ),
        (
            "backfill_media --list-messages",
            "import first what Twilio has received and no webhook told of",
        ),
    )

    def add_options(self, parser: CommandParser) -> None:
        names = ",".join(AGAIN)
        parser.add_argument(
            "--again",
            type=common_options.SomeOf(*AGAIN),
            default=(),
            metavar="STATES",
            help=f"also files that were given up: {names}, or some of these",
        )
        parser.add_argument(
            "--list-messages",
            action="store_true",
            help="read Twilio's list of messages first, and import what no webhook told of",
        )
        common_options.add_period(parser, "sent")
        common_options.add_sender(parser)
        common_options.add_limit(parser, "files")
        common_options.add_workers(parser, default=4)

    def run(self, options: dict[str, Any], report: Report) -> None:
        if options["workers"] > MAX_WORKERS:
            raise CommandError(f"--workers is at most {MAX_WORKERS}.", returncode=2)
        installation.check(media_storage())
        if options["list_messages"]:
            _import_listed(options, report)
        _fetch(options, report)


def _import_listed(options: dict[str, Any], report: Report) -> None:
    """A list that can't be read keeps no file from being fetched."""
    if not settings.TWILIO_ACCOUNT_SID:
        raise RefusedError("TWILIO_ACCOUNT_SID is not set: there is no list to read.")
    period = Period(
        since=options["since"], until=options["until"], owner=options["sender"] or ""
    )
    try:
        for page in listing.import_listed(period):
            report.count("messages_listed", page.listed)
            report.count("messages_imported", len(page.imported))
            report.advance(0)
            for id in page.imported:
                report.line(f"imported message {id}", message=id, result="imported")
    except SourceError as error:
        report.fail("lists_not_read")
        text = f"Twilio's list was not read to its end: {error}"
        report.line(text, result="list_not_read", error=str(error))


def _fetch(options: dict[str, Any], report: Report) -> None:
    again, limit = options["again"], options["limit"]
    files = backfill.unstored(
        again=again,
        since=options["since"],
        until=options["until"],
        owner=options["sender"] or "",
    )
    number = files.count()
    report.expect(number if limit is None else min(limit, number))
    attempt = partial(backfill.attempt, again=again)
    with Parallel(attempt, options["workers"]) as attempts:
        try:
            for attempted in attempts.results(backfill.newest_first(files, limit)):
                _count(attempted, report)
                report.line(str(attempted), **asdict(attempted))
                if attempted.reason == backfill.STORAGE:
                    # While the storage is down, each file would only be fetched in vain.
                    installation.check(media_storage())
                report.advance()
        except StoppedError:
            report.tell("Stopping: only the files that are begun are fetched.")
            for attempted in attempts.rest():
                _count(attempted, report)
            raise


def _count(attempted: Attempted, report: Report) -> None:
    for name in attempted.counts_as:
        report.count(name)
    report.failed += attempted.is_left
