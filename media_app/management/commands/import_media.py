"""Store files of other systems."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from media_app import installation
from media_app.imports import reading
from media_app.imports.fields import NAMES
from media_app.imports.folder import OwnFilesError
from media_app.imports.importing import Imported, Result, import_item
from media_app.imports.items import BrokenLine, Item, UnreadableError
from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand, RefusedError
from media_app.management.report import Report, StoppedError
from media_app.parallel import Parallel
from media_app.storage import media_storage

# A process has 16 connections to the database; each worker needs one, and now and then another.
MAX_WORKERS = 8


class Command(OperatorCommand):
    help = """Store files of other systems: pictures in base64 (JSON Lines or CSV), the files of a
folder, or files at links. What is there already is left as it is: run it again to go on.

Lines that can't be read are listed with their numbers; the others are imported."""
    examples = (
        (
            "import_media export.jsonl --format jsonl --field data=img",
            "pictures in base64 in the field img, a JSON object on each line",
        ),
        (
            "import_media photos --format folder --pattern '{owner}/{timestamp}-**'",
            "files of a folder: the sender and the time are in their paths",
        ),
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="a file, or a folder")
        parser.add_argument("--format", choices=reading.FORMATS, required=True)
        parser.add_argument(
            "--owner",
            type=common_options.sender,
            metavar="NUMBER",
            help="the sender of what names none: +14335551212, whatsapp:+14335551212, …",
        )
        parser.add_argument(
            "--field",
            type=_field,
            action="append",
            default=[],
            metavar="USE=NAME",
            help=f"how a field is called; its use is {', '.join(NAMES)}",
        )
        parser.add_argument(
            "--pattern",
            default="",
            help="what the paths of a folder say: {owner}/{timestamp}-{persona}.*",
        )
        common_options.add_limit(parser, "files")
        common_options.add_workers(parser, default=5)

    def run(self, options: dict[str, Any], report: Report) -> None:
        if options["workers"] > MAX_WORKERS:
            raise CommandError(f"--workers is at most {MAX_WORKERS}.", returncode=2)
        storage = media_storage()
        installation.check(storage)
        try:
            found = reading.read(
                options["source"],
                options["format"],
                owner=options["owner"] or "",
                names=dict(options["field"]),
                pattern=options["pattern"],
                storage=storage,
            )
            number, limit = found.number, options["limit"]
            report.expect(number if limit is None else min(limit, number))
            items = _readable(islice(found.items, limit), report)
            _import(items, options["workers"], report)
        except OwnFilesError as error:
            raise RefusedError(str(error)) from error
        except UnreadableError as error:
            raise CommandError(str(error), returncode=2) from error


def _field(text: str) -> tuple[str, str]:
    use, equals, name = text.partition("=")
    if not equals or use not in NAMES:
        raise ArgumentTypeError(f"{text!r}: write USE=NAME; USE is {', '.join(NAMES)}")
    return use, name


def _readable(items: Iterator[Item | BrokenLine], report: Report) -> Iterator[Item]:
    """The items; broken lines are reported on the way."""
    for item in items:
        if isinstance(item, Item):
            yield item
            continue
        report.fail("broken")
        report.line(
            str(item),
            line=item.number,
            path=item.path,
            result="broken",
            error=item.reason,
        )
        report.advance()


def _import(items: Iterator[Item], workers: int, report: Report) -> None:
    with Parallel(import_item, workers) as imports:
        try:
            for imported in imports.results(items):
                _count(imported, report)
                _tell(imported, report)
                report.advance()
        except StoppedError:
            report.tell("Stopping: only the files that are begun are imported.")
            for imported in imports.rest():
                _count(imported, report)
            raise


def _count(imported: Imported, report: Report) -> None:
    count = report.count
    if imported.result == Result.FAILED:
        count = report.fail
    for name in imported.counts_as:
        count(name)


def _tell(imported: Imported, report: Report) -> None:
    fields = asdict(imported)
    report.line(
        str(imported), line=fields.pop("number"), large=imported.is_large, **fields
    )
