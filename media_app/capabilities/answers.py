"""What was found out about one capability."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from media_app.capabilities.remedies import REMEDIES


class Verdict(StrEnum):
    OK = "ok"
    #: It works, but something may go wrong later.
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """Texts without personal data, addresses and credentials."""

    verdict: Verdict
    text: str


def ok(text: str) -> Answer:
    return Answer(Verdict.OK, text)


def warning(text: str) -> Answer:
    return Answer(Verdict.WARNING, text)


def failed(text: str) -> Answer:
    return Answer(Verdict.FAILED, text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One line of the report."""

    capability: str
    verdict: Verdict
    text: str

    @property
    def remedy(self) -> str:
        """What to do; "" where nothing has to be done."""
        if self.verdict == Verdict.OK:
            return ""
        return REMEDIES[self.capability]
