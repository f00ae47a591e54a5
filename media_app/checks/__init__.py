"""System checks: settings that can't work are found at start, not with the first photo."""

from __future__ import annotations

from media_app.checks import credentials, delivery, erasures, queue, storage
from media_app.checks.storage import is_address

__all__ = [
    "credentials",
    "delivery",
    "erasures",
    "is_address",
    "queue",
    "storage",
]
