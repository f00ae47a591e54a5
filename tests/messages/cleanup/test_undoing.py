"""A cleanup that was wrong is undone."""

from __future__ import annotations

import pytest

from media_app.models import Media
from tests.messages.cleanup.runs import applied, damage, plan

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State


def test_a_file_that_can_not_be_read_stops_no_other(over: list[Media]) -> None:
    plan()
    applied()
    first = min(over, key=lambda media: media.id)
    damage(first.key)
    results = applied("--restore", code=3)
    assert results.pop(first.key) == "failed"
    assert [*results.values()] == ["restored", "restored"]
    assert Media.objects.get(id=first.id).state == State.DELETED
