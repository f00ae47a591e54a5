"""Compare rows and objects, and bring them together again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand
from media_app.management.report import Report
from media_app.models import Media
from media_app.reconciliation.adoption import adopt, can_be_adopted
from media_app.reconciliation.comparison import Finding, Kind
from media_app.reconciliation.outcome import Outcome
from media_app.reconciliation.reconciling import reconcile
from media_app.reconciliation.repairs import can_be_repaired, repair
from media_app.reconciliation.shares import mark_read, next_share
from media_app.storage import Storage, media_storage
from messages_app.adopted_files import attach


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
        storage = media_storage()
        files = Media.objects.filter(owner=owner) if owner else Media.objects.all()
        report.expect(files.count())
        findings = reconcile(storage, owner, share=share, workers=options["workers"])
        for finding in findings:
            outcome = _outcome(storage, finding, options)
            _tell(finding, outcome, report)
            report.advance(int(finding.row is not None))
        if is_part and share is not None:
            mark_read(share)


def _outcome(
    storage: Storage, finding: Finding, options: dict[str, Any]
) -> Outcome | None:
    """What is done about the finding, or could be; None where nothing was asked for."""
    apply, outcome = options["apply"], None
    if options["adopt"] and finding.found is not None and can_be_adopted(finding):
        outcome = adopt(storage, finding.found, apply=apply, link=attach)
        if not outcome.failed:
            return outcome
    if options["repair"] and can_be_repaired(finding):
        return repair(storage, finding, apply=apply)
    return outcome


def _tell(finding: Finding, outcome: Outcome | None, report: Report) -> None:
    if finding.kind == Kind.ERROR:
        report.fail(finding.kind)
    else:
        report.count(finding.kind)
    if outcome is not None and outcome.failed:
        report.fail(outcome.name)
    elif outcome is not None:
        report.count(outcome.name)
    if not finding.sign:
        return
    fields: dict[str, object] = {"sign": finding.sign, "key": finding.key}
    said = [finding.reason]
    for name, (ours, theirs) in finding.differs.items():
        said.append(f"{name}: row {ours}, object {theirs}")
    if outcome is not None:
        said.append(outcome.text)
        fields["outcome"] = outcome.name
    if finding.reason:
        fields["reason"] = finding.reason
    if finding.differs:
        fields["differs"] = {
            name: {"row": ours, "object": theirs}
            for name, (ours, theirs) in finding.differs.items()
        }
    text = "; ".join(filter(None, said))
    line = f"{finding.sign} {finding.key}"
    if text:
        line = f"{line}  {text}"
    report.line(line, **fields)
