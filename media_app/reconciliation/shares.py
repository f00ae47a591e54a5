"""Which files a run reads: all, or a share that is another one each time.

Ids are digests, so any share of them is a share of all files. Where the next share begins is in the
database: a run that is killed leaves its share to the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from media_app.models import Installation

# Ids in equal parts: a hundredth of a percent each.
PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Share:
    """The ids in ``size`` parts, from the part ``first`` on; behind the last one begins the first
    again.
    """

    first: int = 0
    size: int = PARTS

    def includes(self, hex: str) -> bool:
        """Whether it has the id that begins with these digits, eight at least."""
        part = int(hex[:8], 16) % PARTS
        return (part - self.first) % PARTS < self.size


ALL = Share()


def next_share(percent: float) -> Share:
    """The share that this run reads."""
    first = Installation.objects.current().next_share
    return Share(first, ceil(percent * PARTS / 100))


def mark_read(share: Share) -> None:
    """The next run reads what comes behind this share."""
    behind = (share.first + share.size) % PARTS
    Installation.objects.filter(next_share=share.first).update(next_share=behind)
