"""What a run does about its findings, and the line that it tells of each."""

from __future__ import annotations

from dataclasses import dataclass

from media_app.management.report import Report
from media_app.reconciliation.adoption import Link, adopt, can_be_adopted
from media_app.reconciliation.comparison import Finding, Kind
from media_app.reconciliation.outcome import Outcome
from media_app.reconciliation.repairs import can_be_repaired, repair
from media_app.storage import Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class Treatment:
    """What an operator asked for."""

    repairs: bool
    adopts: bool
    #: Without it outcomes only say what would be done.
    apply: bool
    link: Link

    def outcome(self, storage: Storage, finding: Finding) -> Outcome | None:
        """Treat the finding; None where nothing was asked for that would help.

        Adoption comes first: it needs no provider.
        """
        outcome = None
        if self.adopts and finding.found is not None and can_be_adopted(finding):
            outcome = adopt(storage, finding.found, apply=self.apply, link=self.link)
            if not outcome.failed:
                return outcome
        if self.repairs and can_be_repaired(finding):
            return repair(storage, finding, apply=self.apply)
        return outcome


def tell(finding: Finding, outcome: Outcome | None, report: Report) -> None:
    """Count the finding with its outcome, and tell of it where it has a sign."""
    _count(finding, outcome, report)
    if not finding.sign:
        return
    fields: dict[str, object] = {"sign": finding.sign, "key": finding.key}
    said = []
    if finding.reason:
        fields["reason"] = finding.reason
        said.append(finding.reason)
    if finding.differs:
        both = {
            name: {"row": ours, "object": theirs}
            for name, (ours, theirs) in finding.differs.items()
        }
        fields["differs"] = both
        said += [
            f"{name}: row {ours}, object {theirs}"
            for name, (ours, theirs) in finding.differs.items()
        ]
    if outcome is not None:
        fields["outcome"] = outcome.name
        said.append(outcome.text)
    text = f"{finding.sign} {finding.key}"
    if said:
        text = f"{text}  {'; '.join(said)}"
    report.line(text, **fields)


def _count(finding: Finding, outcome: Outcome | None, report: Report) -> None:
    if finding.kind == Kind.ERROR:
        report.fail(finding.kind)
    else:
        report.count(finding.kind)
    if finding.kind == Kind.SAME and finding.reason:
        report.count("without_metadata")
    if outcome is not None and outcome.failed:
        report.fail(outcome.name)
    elif outcome is not None:
        report.count(outcome.name)
