"""What a run does about its findings, and the line that it tells of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media_app.management.report import Report
from media_app.reconciliation.adoption import (
    ADOPTABLE,
    ADOPTED,
    Link,
    adopt,
    can_be_adopted,
)
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

    def outcomes(
        self, storage: Storage, findings: Sequence[Finding]
    ) -> list[Outcome | None]:
        """Treat the findings, some hundred at most; None where nothing was asked for that would
        help.
        """
        adopted = self._adopted(storage, findings)
        return [
            self._repaired(storage, each, adopted.get(each.key)) for each in findings
        ]

    def _adopted(
        self, storage: Storage, findings: Sequence[Finding]
    ) -> dict[str, Outcome]:
        """The outcomes of what was adopted, or could not be, by key."""
        objects = [
            each.found
            for each in findings
            if self.adopts and each.found is not None and can_be_adopted(each)
        ]
        if not objects:
            return {}
        outcomes = adopt(storage, objects, apply=self.apply, link=self.link)
        keys = [each.key for each in objects]
        return dict(zip(keys, outcomes, strict=True))

    def _repaired(
        self, storage: Storage, finding: Finding, adopted: Outcome | None
    ) -> Outcome | None:
        # Adoption comes first: it needs no provider.
        if adopted in (ADOPTED, ADOPTABLE):
            return adopted
        if self.repairs and can_be_repaired(finding):
            return repair(storage, finding, apply=self.apply)
        return adopted


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
