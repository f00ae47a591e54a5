"""A cleanup that was wrong is undone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from media_app.models import CommandRun, Media
from media_app.purge import purge_deleted
from media_app.timing import DELETED_FILES_WAIT
from tests.faults.crash import dies_at
from tests.media.files import lease_runs_out
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


def test_what_a_killed_run_still_holds_is_to_be_run_again(over: list[Media]) -> None:
    plan()
    applied()
    dies_at("restore_after_claim", lambda: applied("--restore"))
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))
    results = applied("--restore", code=3)
    assert sorted(results.values()) == ["failed", "restored", "restored"]
    lease_runs_out()
    assert sorted(applied("--restore").values()) == ["changed", "changed", "restored"]


def test_what_is_purged_already_is_told(over: list[Media]) -> None:
    plan()
    applied()
    Media.objects.update(purge_after=Now())
    assert purge_deleted() == 3
    assert set(applied("--restore", code=3).values()) == {"failed"}


def test_what_staff_deleted_stays_deleted(over: list[Media]) -> None:
    plan()
    first = Media.objects.filter(id=over[0].id)
    first.mark_deleted("by staff", wait=DELETED_FILES_WAIT)
    applied()
    assert applied("--restore").pop(over[0].key) == "changed"
    assert Media.objects.filter(state=State.STORED).count() == 2
