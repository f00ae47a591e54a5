"""The command that stores files of other systems."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from media_app.imports import importing
from media_app.models import CommandRun, Media
from media_app.storage import media_storage
from simulator.content import Kind, content
from tests.faults.crash import dies_at
from tests.media.files import OWNER
from tests.sources.hostile import HostileProvider

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

NUMBER = OWNER.removeprefix("whatsapp:")
IMAGES = 12

Run = Callable[..., list[dict[str, Any]]]


def image(number: int) -> bytes:
    return content(Kind.PHOTO, number).body


def line(number: int, **fields: object) -> str:
    data = base64.b64encode(image(number)).decode()
    return json.dumps({"image": data, "persona": f"Ana {number}", **fields})


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Images in base64, two broken lines among them."""
    lines = [line(number, timestamp=1716120000 + number) for number in range(IMAGES)]
    lines[3:3] = ["no JSON", line(99, phone="Ana")]
    path = tmp_path / "export.jsonl"
    path.write_text("\n".join(lines))
    return path


def imported(source: Path, format: str, *options: str) -> list[dict[str, Any]]:
    """Its lines, the summary last."""
    out = StringIO()
    try:
        call_command(
            "import_media",
            *(str(source), "--format", format, "--owner", NUMBER, "--json", *options),
            stdout=out,
            stderr=StringIO(),
        )
    except CommandError as error:
        assert error.returncode == 3, error
    return [json.loads(line) for line in out.getvalue().splitlines()]


def counts(lines: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = lines[-1]["counts"]
    return found


def objects() -> int:
    return len(list(media_storage().list("")))


def test_good_lines_are_stored_and_broken_ones_listed(export: Path) -> None:
    *lines, summary = imported(export, "jsonl")
    assert summary["counts"] == {"stored": IMAGES, "broken": 2}
    broken = {each["line"]: each["error"] for each in lines if "key" not in each}
    assert broken == {
        4: "the line is not JSON",
        5: "'Ana' is not a number like +14335551212",
    }
    times = Media.objects.order_by("occurred_at").values_list("occurred_at", flat=True)
    assert [int(time.timestamp()) - 1716120000 for time in times] == list(range(IMAGES))
    assert Media.objects.filter(details__persona="Ana 7").count() == 1


def test_again_brings_nothing_new(export: Path) -> None:
    imported(export, "jsonl")
    before = list(Media.objects.order_by("id").values())
    os.utime(export, (1, 1))
    assert counts(imported(export, "jsonl")) == {"known": IMAGES, "broken": 2}
    assert list(Media.objects.order_by("id").values()) == before
    assert objects() == IMAGES


@pytest.mark.parametrize("point", ["import_after_put", "import_after_row"])
def test_a_killed_import_is_run_again(export: Path, point: str) -> None:
    dies_at(point, lambda: imported(export, "jsonl"), times=IMAGES // 2)
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))
    again = counts(imported(export, "jsonl"))
    assert again["stored"] + again.get("known", 0) == IMAGES
    assert Media.objects.filter(state="stored").count() == objects() == IMAGES


def test_a_folder_keeps_duplicate_names(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / "album" / f"Zoë {number}"
        folder.mkdir(parents=True)
        (folder / "a.jpeg").write_bytes(image(number))
    # The same picture once more is the same file.
    (folder / "copy of a.jpeg").write_bytes(image(2))
    found = imported(tmp_path / "album", "folder", "--pattern", "{persona}/*")
    assert counts(found) == {"stored": 3, "known": 1}
    names = Media.objects.values_list("details__persona", flat=True)
    assert {*names} == {"Zoë 0", "Zoë 1", "Zoë 2"}
    assert objects() == 3


def test_links_are_fetched_by_the_guarded_client(
    tmp_path: Path, hostile: HostileProvider
) -> None:
    export = tmp_path / "links.txt"
    links = [
        hostile.url("photo"),
        hostile.url("404"),
        "http://169.254.169.254/latest",
    ]
    export.write_text("\n".join(links))
    assert counts(imported(export, "urls")) == {
        "stored": 1,
        "failed_gone": 1,
        "failed_refused_address": 1,
    }
    assert counts(imported(export, "urls"))["known"] == 1
    # Those that failed are announced: workers try them again.
    states = Media.objects.order_by("state").values_list("state", flat=True)
    assert list(states) == ["retrying", "retrying", "stored"]
    assert objects() == 1


def test_large_files_are_reported(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(image(5))
    monkeypatch.setattr(importing, "LARGE", size)
    *lines, summary = imported(export, "jsonl")
    large = {each["size"] for each in lines if each.get("large")}
    assert size in large
    assert min(large) == size
    assert summary["counts"]["stored_of_10_mb_and_more"] >= 1


def test_people_read_what_became_of_each(export: Path) -> None:
    out = StringIO()
    options = ("--format", "jsonl", "--owner", NUMBER, "--workers", "1")
    with pytest.raises(CommandError, match="2 could not be done"):
        call_command("import_media", str(export), *options, stdout=out)
    lines = out.getvalue().splitlines()
    assert "broken line 4: the line is not JSON" in lines
    assert lines[0] == f"stored line 1 {Media.objects.earliest('occurred_at').key}"
    assert lines[-1] == f"{IMAGES} stored, 2 broken"


def test_a_limit_takes_the_first(export: Path) -> None:
    assert counts(imported(export, "jsonl", "--limit", "3")) == {"stored": 3}


def test_the_run_tells_staff_no_names(export: Path) -> None:
    imported(export, "jsonl", "--field", "data=image", "--limit", "1")
    arguments = CommandRun.objects.get().arguments
    assert arguments == "… --format jsonl --owner … --field … --limit 1"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["none.jsonl", "--format", "jsonl"], 2),
        (["export.jsonl", "--format", "folder"], 2),
        (["export.jsonl", "--format", "jsonl", "--pattern", "{owner}"], 2),
        (["export.jsonl", "--format", "jsonl", "--workers", "9"], 2),
        (["media", "--format", "folder"], 4),
        ([".", "--format", "folder"], 4),
    ],
)
def test_a_wrong_source_changes_nothing(
    export: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int
) -> None:
    # The storage has its marker.
    imported(export, "jsonl", "--limit", "1")
    monkeypatch.chdir(export.parent)
    with pytest.raises(CommandError) as error:
        call_command("import_media", *options, stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == code
    assert objects() == 1
