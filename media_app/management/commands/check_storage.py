"""Try what the storage can do."""

from __future__ import annotations

from typing import Any

from media_app import capabilities
from media_app.capabilities import Checked, Verdict
from media_app.management.operator import OperatorCommand
from media_app.management.report import Report
from media_app.storage import media_storage


class Command(OperatorCommand):
    help = """Try each thing that the hub needs on the real storage: a verdict for each, and what
to do where it is not ok.

It puts some small objects under a hidden prefix (.mediahub-check) and removes them. Files are not
touched."""
    examples = (
        ("check_storage", "after each change of the storage's settings"),
        ("check_storage --json", "for monitoring; exit code 3 when something failed"),
    )

    def run(self, options: dict[str, Any], report: Report) -> None:
        for checked in capabilities.check(media_storage()):
            _tell(checked, report)


def _tell(checked: Checked, report: Report) -> None:
    if checked.verdict == Verdict.FAILED:
        report.fail(checked.verdict)
    else:
        report.count(checked.verdict)
    text = f"{checked.verdict:<8} {checked.capability:<14} {checked.text}"
    if checked.remedy:
        text = f"{text}\n{'':<24}→ {checked.remedy}"
    report.impersonal_line(
        text,
        capability=checked.capability,
        verdict=checked.verdict,
        text=checked.text,
        remedy=checked.remedy,
    )
