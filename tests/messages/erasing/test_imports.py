"""An import of an erased person's files, from before the erasure, brings nothing back."""

from __future__ import annotations

import json
from base64 import b64encode
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from media_app.models import Media
from simulator.content import Kind, content
from tests.messages.erasing.world import erase

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ADA, BOB = "+14335551212", "+15550002222"


def imported(export: Path) -> dict[str, Any]:
    out = StringIO()
    call_command("import_media", str(export), format="jsonl", json=True, stdout=out)
    counts: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])["counts"]
    return counts


def line(number: int, phone: str) -> str:
    data = b64encode(content(Kind.PHOTO, number).body).decode()
    return json.dumps({"image": data, "phone": phone})


def test_an_import_brings_no_erased_file_back(tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    export.write_text("\n".join(line(number, ADA) for number in range(3)))
    assert imported(export) == {"stored": 3}
    assert erase(ADA, "--apply")[0] == 0
    assert not Media.objects.exists()
    export.write_text("\n".join([export.read_text(), line(3, ADA), line(0, BOB)]))
    # What the hub never had is new, as a later message is.
    assert imported(export) == {"erased": 3, "stored": 2}
    assert imported(export) == {"erased": 3, "known": 2}
