"""Delete what is kept no longer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from media_app.cleanup import guards
from media_app.cleanup.applying import Applied, Result, apply, restore_all
from media_app.cleanup.guards import Limits, Totals
from media_app.cleanup.plan import Draft, Kind, Plan, PlanError
from media_app.cleanup.planning import planned
from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand, RefusedError
from media_app.management.report import Report
from media_app.models import Media
from media_app.storage import Storage, media_storage
from media_app.tombstones import KeyMissingError
from messages_app.adopted_files import attach, learn_of_erasures
from messages_app.retention import is_held, newest_message, over


class Command(OperatorCommand):
    help = """Delete what is kept no longer: files whose retention period is over, objects and
previews without a file, temporary files.

Without --apply it writes a plan, and deletes nothing. Read it, then apply it within 7 days."""
    examples = (
        ("cleanup_media", "write a plan, cleanup-TIME.jsonl, into this folder"),
        (
            "cleanup_media --apply cleanup-20261121T040000Z.jsonl",
            "delete what it lists and what has not changed since",
        ),
    )

    def add_options(self, parser: CommandParser) -> None:
        limits = Limits()
        parser.add_argument(
            "--apply", type=Path, metavar="PLAN", help="delete what this plan lists"
        )
        parser.add_argument(
            "--restore",
            action="store_true",
            help="with --apply: bring back the files that the plan has deleted",
        )
        parser.add_argument(
            "--plan",
            type=Path,
            default=Path(),
            metavar="PATH",
            help="a new file for the plan, or a folder (this one)",
        )
        parser.add_argument(
            "--max-delete",
            type=common_options.positive,
            default=limits.number,
            metavar="N",
            help=f"apply no plan that deletes more ({limits.number})",
        )
        parser.add_argument(
            "--max-delete-percent",
            type=common_options.percent,
            default=limits.percent,
            metavar="PERCENT",
            help=f"or more of all files, or of all previews ({limits.percent:g})",
        )
        parser.add_argument(
            "--clock-is-right",
            action="store_true",
            help="although no message has come for half a year",
        )
        common_options.add_limit(parser, "things in the plan")

    def run(self, options: dict[str, Any], report: Report) -> None:
        if options["restore"] and not options["apply"]:
            raise CommandError("--restore needs --apply PLAN.", returncode=2)
        storage = media_storage()
        try:
            guards.check_place(
                storage,
                newest=newest_message(),
                clock_is_right=options["clock_is_right"],
            )
            if options["apply"]:
                _apply(storage, options, report)
            else:
                _plan(storage, options, report)
        except (guards.RefusedError, KeyMissingError) as error:
            raise RefusedError(str(error)) from error


def _plan(storage: Storage, options: dict[str, Any], report: Report) -> None:
    path, limit = _place(options["plan"]), options["limit"]
    report.expect(Media.objects.count())
    totals = Totals(advance=report.advance)
    files = over(settings.MEDIA_RETENTION_DAYS)
    with closing(Draft()) as draft:
        for entry in planned(storage, files, totals, is_held):
            if draft.number == limit:
                report.count("over_limit")
                continue
            draft.add(entry)
            report.count(f"planned_{entry.kind}")
            report.line(f"{entry.kind} {entry.key}  {entry.reason}", **asdict(entry))
        guards.check_lost(totals)
        for reason, number in totals.left.items():
            report.count(f"left_{reason}", number)
        if not draft.number:
            report.note("Nothing to delete: no plan is written.")
            return
        try:
            report.plan_digest = draft.save(path, guards.header_of(totals))
        except OSError as error:
            raise CommandError(f"The plan can't be written: {error}") from error
    report.line(f"The plan is in {path}. Read it.", plan=str(path))


def _place(given: Path) -> Path:
    """Where the plan is to be written; that would be late to find out after hours."""
    path = given
    if path.is_dir():
        path /= f"cleanup-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl"
    if path.exists():
        raise CommandError(f"{path} is there already.", returncode=2)
    if not os.access(path.parent, os.W_OK):
        raise CommandError(f"{path.parent} can't be written to.", returncode=2)
    return path


def _apply(storage: Storage, options: dict[str, Any], report: Report) -> None:
    try:
        plan = Plan(options["apply"])
    except PlanError as error:
        raise RefusedError(str(error)) from error
    except OSError as error:
        text = f"The plan can't be read: {error.strerror}"
        raise CommandError(text, returncode=2) from error
    with closing(plan):
        guards.check_plan(plan)
        report.expect(sum(plan.counts.values()))
        # Only of a plan that was checked: an edited one must not count as written.
        report.plan_digest = plan.digest
        if options["restore"]:
            _tell(restore_all(storage, plan), report)
            return
        guards.check_age(plan)
        limits = Limits(
            number=options["max_delete"], percent=options["max_delete_percent"]
        )
        guards.check_limits(plan, limits)
        guards.check_sample(storage)
        if plan.counts[Kind.ADOPTION]:
            learn_of_erasures()
        files = over(settings.MEDIA_RETENTION_DAYS)
        _tell(apply(storage, plan, files, attach, is_held), report)


def _tell(results: Iterable[Applied], report: Report) -> None:
    for applied in results:
        entry, result = applied.entry, applied.result
        if result == Result.FAILED:
            report.fail(f"{result}_{entry.kind}")
        else:
            report.count(f"{result}_{entry.kind}")
        text = f"{result} {entry.key}"
        if applied.reason:
            text = f"{text}: {applied.reason}"
        fields = {"kind": entry.kind, "key": entry.key, "id": entry.id}
        report.line(text, **fields, result=result, reason=applied.reason)
        report.advance()
