"""A process of its own that fetches a small and then a large document, and tells what memory it
took.

``python -m tests.media.large_document SMALL LARGE``: ids of the simulated provider. Prints JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django


def peak() -> int:
    """The most memory that this process has held, in KB. (A child's ru_maxrss begins with its
    parent's.)
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main(small: str, large: str) -> None:
    django.setup()
    from django.core.management import call_command

    from media_app.ingest import ingest_next
    from media_app.models import Media
    from tests.media.files import announcement, keep

    call_command("migrate", verbosity=0)
    peaks = []
    for id in (small, large):
        keep(announcement(provider_media_id=id, content_type="application/pdf"))
        ingest_next()
        peaks.append(peak())
    rows = list(
        Media.objects.order_by("size").values("state", "last_error", "size", "sha256")
    )
    sys.stdout.write(json.dumps({"idle": peaks[0], "peak": peaks[1], "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
