"""When waiting work counts as overdue."""

from __future__ import annotations

from datetime import datetime, timedelta

from media_app.admin.times import in_words
from mediahub.status import Status

# Nobody does work that waits longer than this.
OVERDUE = timedelta(minutes=5)
# When slow fetches hold all workers, that is known before the first of them is cut, after five
# minutes.
OVERDUE_BEHIND_OTHERS = timedelta(minutes=2)


def overdue(status: Status, since: datetime | None, limit: timedelta = OVERDUE) -> str:
    """How long, if longer than ``limit``, else ""."""
    if since is None or status.at - since <= limit:
        return ""
    return in_words(status.at - since)
