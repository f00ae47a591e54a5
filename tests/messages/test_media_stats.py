"""``manage.py media_stats``: files and bytes are counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from media_app import installation
from media_app.models import CommandRun, Media
from media_app.storage import DiskStorage, media_storage
from messages_app.models import Contact
from tests.admin.rows import make_contact, make_media

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ANA, BOB = "whatsapp:+4915112345", "whatsapp:+14335551212"


def lines(*options: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("media_stats", "--json", *options, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def totals(by: str, *options: str) -> dict[str, tuple[int, int]]:
    """Files and bytes by name."""
    return {
        line["name"]: (line["files"], line["bytes"])
        for line in lines(*options)
        if line.get("by") == by
    }


def test_without_files_all_is_zero() -> None:
    assert lines() == [
        {
            "command": "media_stats",
            "outcome": "done",
            "counts": {"stored_files": 0, "stored_bytes": 0},
        }
    ]


def test_states_count_the_bytes_that_are_kept() -> None:
    make_media(state="stored", size=100)
    make_media(state="stored", size=20)
    make_media(state="pending", announced_size=7)
    make_media(state="missing", size=3)
    make_media(state="deleted", size=5)
    make_media(state="deleted", size=5, purged_at=timezone.now())
    assert totals("state") == {
        "deleted": (2, 5),
        "missing": (1, 0),
        "pending": (1, 0),
        "stored": (2, 120),
    }


def test_kinds_are_those_of_stored_files() -> None:
    for content_type in ("image/png", "image/jpeg", "audio/ogg", "application/pdf"):
        make_media(b"ten bytes.", content_type=content_type)
    make_media(content_type="video/mp4")
    assert totals("kind") == {
        "audio": (1, 10),
        "document": (1, 10),
        "image": (2, 20),
    }


def test_months_are_those_of_sending_and_growth_those_of_storing() -> None:
    for month, size in ((9, 1), (10, 10), (10, 100)):
        make_media(
            state="stored",
            size=size,
            occurred_at=datetime(2026, month, 5, tzinfo=UTC),
            stored_at=datetime(2026, 11, 5, tzinfo=UTC),
        )
    assert totals("month") == {"2026-09": (1, 1), "2026-10": (2, 110)}
    Media.objects.filter(size=1).update(stored_at=datetime(2026, 9, 5, tzinfo=UTC))
    growth = [line for line in lines() if line.get("by") == "growth"]
    assert [(line["name"], line["bytes_so_far"]) for line in growth] == [
        ("2026-09", 1),
        ("2026-11", 111),
    ]


def test_the_largest_senders_come_first() -> None:
    make_media(state="stored", size=1, owner=ANA)
    make_media(state="stored", size=10, owner=BOB)
    make_media(state="stored", size=1, owner="sms:+19995550000")
    found = totals("sender", "--senders", "2")
    assert list(found.items()) == [(BOB, (1, 10)), ("sms:+19995550000", (1, 1))]


def test_retention_would_free_files_of_silent_senders() -> None:
    ago = timezone.now() - timedelta(days=100)
    make_media(state="stored", size=10, occurred_at=ago, announced_at=ago)
    make_contact("Ana")
    Contact.objects.update(last_message_at=ago)
    found = totals("retention", "--retention", "90", "--retention", "365")
    assert found == {"90 days": (1, 10), "365 days": (0, 0)}


def test_previews_are_counted_in_the_storage(media_root: Path) -> None:
    storage = media_storage()
    installation.check(storage)
    for name, body in (("320.webp", b"small"), ("1280.webp", b"larger one")):
        storage.put(
            f"previews/{BOB}/1-0-0123456789ab.jpeg/{name}",
            BytesIO(body),
            size=len(body),
            content_type="image/webp",
            metadata={},
        )
    assert totals("previews", "--previews") == {"all": (2, 15)}


def test_previews_of_a_foreign_storage_are_not_listed(media_root: Path) -> None:
    DiskStorage(media_root).write_marker("another installation")
    with pytest.raises(CommandError) as error:
        lines("--previews")
    assert error.value.returncode == 4


def test_the_run_keeps_no_sender() -> None:
    make_media(state="stored", size=10, owner=BOB)
    lines("--senders", "5", "--retention", "30", "--retention", "90")
    run = CommandRun.objects.get()
    assert run.arguments == "--senders 5 --retention 30,90"
    assert "retention  90 days" in run.lines
    assert "1433" not in run.lines
