"""The order of a message's statuses. They arrive in any order; a message only moves forwards."""

from __future__ import annotations

# A proof of delivery outranks a failure report: the customer has the message.
_RANKS = {
    "accepted": 1,
    "scheduled": 1,
    "queued": 1,
    "sending": 1,
    "sent": 2,
    "failed": 3,
    "delivered": 4,
    "read": 5,
    "played": 6,
}


def status_rank(status: str) -> int:
    """The place of a status (Meta's names) on the way; 0 for one we don't know.

    >>> status_rank("delivered") > status_rank("failed") > status_rank("sent")
    True
    """
    return _RANKS.get(status, 0)
