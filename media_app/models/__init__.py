"""The rows of the ground floor."""

from __future__ import annotations

from media_app.models.attempt import FetchAttempt
from media_app.models.installation import Installation
from media_app.models.media import Lease, Media, Purge
from media_app.models.pause import AccountPause
from media_app.models.viewing import Viewing

__all__ = [
    "AccountPause",
    "FetchAttempt",
    "Installation",
    "Lease",
    "Media",
    "Purge",
    "Viewing",
]
