"""Compare rows and objects, and bring them together again."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.core.management.base import CommandError, CommandParser

from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand, RefusedError
from media_app.management.report import Report
from media_app.models import Media
from media_app.reconciliation.reconciling import reconcile
from media_app.reconciliation.shares import mark_read, next_share
from media_app.reconciliation.treatment import Treatment, tell
from media_app.storage import media_storage
from media_app.tombstones import KeyMissingError
from messages_app.adopted_files import attach, learn_of_erasures

TOGETHER = 100


class Command(OperatorCommand):
    help = """Compare the rows of all files with the objects in the storage.

A line for each key: = same, - row without object, + object without row, * they differ, ! it can't
be told. Nothing is changed without --apply."""
    examples = (
        ("reconcile_media --verify=10%", "compare all; read a tenth, the next one"),
        (
            "reconcile_media --verify --repair --adopt --apply",
            "read all, fetch again what is lost or wrong, make lost rows again",
        ),
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--verify",
            type=common_options.percent,
            nargs="?",
            const=100.0,
            metavar="PERCENT",
            help="also read the objects, all or as many as this, others each time",
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="fetch again what is lost or wrong, while the provider has it",
        )
        parser.add_argument(
            "--adopt",
            action="store_true",
            help="make rows again from the metadata of their objects",
        )
        common_options.add_apply(parser)
        common_options.add_sender(parser)
        common_options.add_workers(parser, default=4)

    def run(self, options: dict[str, Any], report: Report) -> None:
        percent, owner = options["verify"], options["sender"]
        is_part = percent is not None and percent < 100
        if is_part and owner:
            raise CommandError("A share is one of all senders' files.", returncode=2)
        if options["apply"] and not (options["repair"] or options["adopt"]):
            raise CommandError("--apply needs --repair or --adopt.", returncode=2)
        share = next_share(percent) if percent is not None else None
        if options["adopt"] and options["apply"]:
            _learn_of_erasures()
        storage = media_storage()
        files = Media.objects.filter(owner=owner) if owner else Media.objects.all()
        report.expect(files.count())
        treatment = Treatment(
            repairs=options["repair"],
            adopts=options["adopt"],
            apply=options["apply"],
            link=attach,
        )
        findings = reconcile(storage, owner, share=share, workers=options["workers"])
        while batch := list(islice(findings, TOGETHER)):
            outcomes = treatment.outcomes(storage, batch)
            for finding, outcome in zip(batch, outcomes, strict=True):
                tell(finding, outcome, report)
                report.advance(int(finding.row is not None))
        if is_part and share is not None:
            mark_read(share)


def _learn_of_erasures() -> None:
    try:
        learn_of_erasures()
    except KeyMissingError as error:
        raise RefusedError(str(error)) from error
