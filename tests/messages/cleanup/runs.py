"""Runs of the command, and the time between them."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command
from django.db.models import F

from media_app.models import CommandRun, Media, Sighting
from media_app.storage import media_storage
from messages_app.models import Attachment
from tests.messages.mail import ADA
from tests.storage.buckets import put

ALL = ("--max-delete-percent", "100")
ORPHAN = f"{ADA}/1716120082-0-3fa9c1d2e4b7.jpeg"
PREVIEW = f"previews/{ADA}/1716120082-0-3fa9c1d2e4b8.jpeg/320.webp"
DAYS = timedelta(days=3)


def cleanup(*options: str, code: int = 0) -> list[dict[str, Any]]:
    """Its lines, the summary last."""
    out, ended = StringIO(), 0
    try:
        call_command("cleanup_media", "--json", *options, stdout=out, stderr=StringIO())
    except CommandError as error:
        ended = error.returncode
    assert ended == code, out.getvalue()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def plan(*options: str) -> dict[str, str]:
    """Write a plan; what it lists, as kinds by key."""
    Path("plan").unlink(missing_ok=True)
    lines = cleanup("--plan", "plan", *options)
    return {line["key"]: line["kind"] for line in lines if "kind" in line}


def applied(*options: str, code: int = 0) -> dict[str, str]:
    """Apply the plan; what became of each key."""
    lines = cleanup("--apply", "plan", *(options or ALL), code=code)
    return {line["key"]: line["result"] for line in lines if "result" in line}


def reason(*options: str) -> str:
    """Why the command refuses."""
    cleanup(*options, code=4)
    return CommandRun.objects.filter(state="refused").latest("started_at").reason


def age(*names: str) -> None:
    """Let these files of the folder be days old."""
    storage: Any = media_storage()
    for name in names:
        then = (storage.root / name).stat().st_mtime - DAYS.total_seconds()
        os.utime(storage.root / name, (then, then))


def lay(key: str = ORPHAN, body: bytes = b"a photo") -> None:
    put(media_storage(), key, body)
    age(key)


def a_day_passes() -> None:
    Sighting.objects.update(
        first_seen_at=F("first_seen_at") - DAYS, seen_at=F("seen_at") - DAYS
    )


def damage(key: str) -> None:
    """Let the storage fail at this object: what a folder knows of it can't be read."""
    storage: Any = media_storage()
    path = storage.root / key
    path.with_name(f".{path.name}.meta").write_text("damaged")


def lose_rows(**which: object) -> None:
    lost = Media.objects.filter(**which)
    Attachment.objects.filter(media__in=lost).delete()
    lost.delete()


def see_twice() -> dict[str, str]:
    """What the second of two runs plans."""
    assert not plan()
    a_day_passes()
    return plan()
