"""One object at which the storage fails does not keep the others from being cleaned up."""

from __future__ import annotations

import pytest

from media_app.models import Media
from tests.messages.cleanup.runs import (
    ALL,
    ORPHAN,
    a_day_passes,
    applied,
    cleanup,
    damage,
    lay,
    lose_rows,
    plan,
    reason,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_a_plan_leaves_what_can_not_be_looked_at(files: list[Media]) -> None:
    lose_rows(id=files[0].id)
    lay(f"previews/{files[0].key}/320.webp")
    lay()
    damage(files[0].key)
    assert plan() == {}
    a_day_passes()
    *lines, summary = cleanup("--plan", "plan")
    assert [line["key"] for line in lines if "key" in line] == [ORPHAN]
    assert "left_errors" in str(summary)


def test_one_damaged_file_is_no_reason_to_refuse(over: list[Media]) -> None:
    plan()
    damage(over[0].key)
    assert set(applied().values()) == {"deleted"}


def test_most_files_damaged_is_refused(over: list[Media]) -> None:
    plan()
    for media in over:
        damage(media.key)
    assert "3 of 3 stored files" in reason("--apply", "plan", *ALL)
    assert Media.objects.filter(state=Media.State.STORED).count() == 3
