"""The tables of this layer."""

from __future__ import annotations

from media_app.models.attempt import FetchAttempt
from media_app.models.claims import Lease
from media_app.models.command_run import CommandRun
from media_app.models.installation import Installation
from media_app.models.media import CONCERNS_PUBLIC, Media, MediaQuerySet
from media_app.models.pause import AccountPause
from media_app.models.purges import Purge
from media_app.models.sighting import Sighting
from media_app.models.tombstone import Tombstone
from media_app.models.viewing import Viewing

__all__ = [
    "CONCERNS_PUBLIC",
    "AccountPause",
    "CommandRun",
    "FetchAttempt",
    "Installation",
    "Lease",
    "Media",
    "MediaQuerySet",
    "Purge",
    "Sighting",
    "Tombstone",
    "Viewing",
]
