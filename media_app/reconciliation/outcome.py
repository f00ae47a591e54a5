"""What became of a finding, or would become of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    #: Its name among a run's numbers.
    name: str
    #: The same for people.
    text: str
    #: Whether it was tried, and could not be done.
    failed: bool = False
