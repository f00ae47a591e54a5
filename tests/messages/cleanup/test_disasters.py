"""What must not be possible: the command refuses, or deletes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from media_app.cleanup import guards
from media_app.clock import database_now
from media_app.models import CommandRun, Installation, Media
from media_app.storage import media_storage
from messages_app.models import Message
from tests.messages.cleanup.runs import (
    ALL,
    applied,
    cleanup,
    lose_rows,
    plan,
    reason,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State


def test_an_empty_database_is_refused(files: list[Media]) -> None:
    lose_rows()
    assert "no files" in reason()


def test_a_foreign_storage_is_refused(over: list[Media]) -> None:
    plan()
    media_storage().write_marker("another", replace=True)
    assert "another installation" in reason()
    assert "another installation" in reason("--apply", "plan", *ALL)


def test_a_plan_of_another_installation_is_refused(over: list[Media]) -> None:
    plan()
    id = uuid4()
    Installation.objects.update(id=id)
    media_storage().write_marker(str(id), replace=True)
    assert "another installation" in reason("--apply", "plan", *ALL)


def edit(change: Callable[[str], str], *, recorded: bool = False) -> None:
    """Change the text of the plan; ``recorded`` as if a run had written it so."""
    text = change(Path("plan").read_text())
    Path("plan").write_text(text)
    if recorded:
        digest = hashlib.sha256(text.encode()).hexdigest()
        CommandRun.objects.update(plan_digest=digest)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"size": ', '"size": 1'),
        lambda text: text[: text.rindex("{")],
        lambda text: text[:-9],
        lambda text: "",
    ],
    ids=["edited", "cut after a line", "cut within a line", "empty"],
)
def test_an_edited_or_damaged_plan_is_refused(
    over: list[Media], change: Callable[[str], str]
) -> None:
    plan()
    edit(change)
    for _ in range(2):
        assert "plan" in reason("--apply", "plan", *ALL)
    assert not Media.objects.filter(state=State.DELETED).exists()


def test_a_plan_of_last_week_is_refused_but_can_be_undone(over: list[Media]) -> None:
    plan()
    applied()
    made_at = json.loads(Path("plan").read_text().splitlines()[0])["at"]
    then = database_now() - timedelta(days=8)
    edit(lambda text: text.replace(made_at, then.isoformat()), recorded=True)
    assert "8 days old" in reason("--apply", "plan", *ALL)
    assert set(applied("--restore").values()) == {"restored"}


@pytest.mark.parametrize(
    "limit",
    [("--max-delete", "2", *ALL), ("--max-delete-percent", "99"), ()],
)
def test_over_a_limit_nothing_at_all_is_deleted(
    over: list[Media], limit: tuple[str, ...]
) -> None:
    plan()
    assert "Nothing was deleted" in reason("--apply", "plan", *limit)
    assert Media.objects.filter(state=State.STORED).count() == 3


def test_a_part_may_be_planned(over: list[Media]) -> None:
    plan("--limit", "1")
    assert len(applied("--max-delete", "1", *ALL)) == 1
    assert Media.objects.filter(state=State.STORED).count() == 2


def test_a_clock_one_year_ahead_is_refused(
    over: list[Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = database_now() + timedelta(days=365)
    monkeypatch.setattr(guards, "database_now", lambda: ahead)
    assert "clocks" in reason()


def test_after_a_year_of_silence_the_clock_has_to_be_confirmed(
    over: list[Media],
) -> None:
    Message.objects.update(occurred_at=Now() - timedelta(days=365))
    assert "365 days old" in reason()
    assert len(plan("--clock-is-right")) == 3


def test_half_of_the_files_missing_is_refused(over: list[Media]) -> None:
    plan()
    media_storage().delete([media.key for media in over[:2]])
    assert "2 of 3 stored files" in reason()
    assert "2 of 3 stored files" in reason("--apply", "plan", *ALL)
    assert not Media.objects.filter(state=State.DELETED).exists()


def test_a_plan_replaces_no_file(over: list[Media]) -> None:
    plan()
    cleanup("--plan", "plan", code=2)
    cleanup("--plan", "no/folder", code=2)
    (line,) = (
        line
        for line in cleanup("--plan", ".")
        if "plan" in line and "kind" not in line and "command" not in line
    )
    assert Path(line["plan"]).is_file()
