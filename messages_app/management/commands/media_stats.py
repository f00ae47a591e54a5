"""Count files and bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser
from django.template.defaultfilters import filesizeformat

from media_app import installation, statistics
from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand
from media_app.management.report import Report
from media_app.statistics import Total
from media_app.storage import media_storage
from messages_app import retention


class Command(OperatorCommand):
    help = """Count files and their bytes, by state, kind and month, and how the storage grows.

Nothing is read from the storage, except to count previews."""
    examples = (
        ("media_stats --senders 10 --previews", "also the ten largest senders"),
        ("media_stats --retention 90 --retention 365", "what each period would free"),
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--senders",
            type=common_options.positive,
            metavar="N",
            help="also the N senders with the most bytes, by their numbers",
        )
        parser.add_argument(
            "--retention",
            type=common_options.positive,
            action="append",
            default=[],
            metavar="DAYS",
            help="also what MEDIA_RETENTION_DAYS=DAYS would free now (repeatable)",
        )
        parser.add_argument(
            "--previews", action="store_true", help="list and count the previews, too"
        )

    def run(self, options: dict[str, Any], report: Report) -> None:
        _tell("state", statistics.by_state(), report)
        _tell("kind", statistics.by_kind(), report)
        _tell("month", statistics.by_month(), report)
        _tell_growth(report)
        for days in options["retention"]:
            freed = statistics.total(retention.over(days), f"{days} days")
            _tell("retention", [freed], report)
        if options["senders"]:
            for sender in statistics.by_sender(options["senders"]):
                # A sender is a person.
                report.line(_text("sender", sender), **_fields("sender", sender))
        if options["previews"]:
            _tell("previews", [_previews(report)], report)
        stored = statistics.total(statistics.stored(), "stored")
        report.count("stored_files", stored.files)
        report.count("stored_bytes", stored.bytes)


def _tell(by: str, totals: Iterable[Total], report: Report) -> None:
    for total in totals:
        report.impersonal_line(_text(by, total), **_fields(by, total))


def _tell_growth(report: Report) -> None:
    bytes_so_far = 0
    for added in statistics.growth():
        bytes_so_far += added.bytes
        text = f"{_text('growth', added)}, then {_size(bytes_so_far)}"
        fields = _fields("growth", added)
        report.impersonal_line(text, **fields, bytes_so_far=bytes_so_far)


def _previews(report: Report) -> Total:
    storage = media_storage()
    installation.check(storage)
    files = bytes = 0
    for size in statistics.listed_previews(storage):
        files, bytes = files + 1, bytes + size
        report.advance()
    return Total("all", files, bytes)


def _fields(by: str, total: Total) -> dict[str, object]:
    return {"by": by, "name": total.name, "files": total.files, "bytes": total.bytes}


def _text(by: str, total: Total) -> str:
    return f"{by:<10} {total.name:<26} {total.files:>10,} files, {_size(total.bytes)}"


def _size(bytes: int) -> str:
    # With ordinary spaces: a terminal may show others as something else.
    return filesizeformat(bytes).replace("\xa0", " ")
