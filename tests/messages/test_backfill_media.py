"""The command that fetches what is announced and not stored."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from media_app import installation, rate
from media_app.models import CommandRun, Media
from media_app.storage import media_storage
from messages_app import inbox
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, photo
from tests.messages.mail import arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "FILES_PER_SECOND", 10_000)


def backfill(*options: str) -> list[dict[str, Any]]:
    """Its lines, the summary last."""
    out = StringIO()
    try:
        call_command(
            "backfill_media", "--json", *options, stdout=out, stderr=StringIO()
        )
    except CommandError as error:
        assert error.returncode == 3, error
    return [json.loads(line) for line in out.getvalue().splitlines()]


def announce(*numbers: int) -> None:
    arrive(album(*map(photo, numbers)))
    inbox.drain()


def test_lines_and_counts_tell_what_became_of_each(provider: SimulatedProvider) -> None:
    announce(1, 2, 3)
    gone = Media.objects.order_by("id")[0]
    provider.expired = {gone.provider_media_id}
    *lines, summary = backfill("--workers", "2")
    provider.expired = set()
    assert summary["counts"] == {"attempted": 3, "stored": 2, "failed_gone": 1}
    assert CommandRun.objects.get().counts == summary["counts"]
    failed = next(line for line in lines if line["result"] == "failed")
    assert failed["key"] == gone.key
    assert failed["error"] == Media.objects.get(id=gone.id).last_error
    assert {line["key"] for line in lines} == set(
        Media.objects.values_list("key", flat=True)
    )


def test_a_limit_takes_the_newest(provider: SimulatedProvider) -> None:
    announce(1, 2, 3)
    assert backfill("--limit", "2")[-1]["counts"]["stored"] == 2
    assert backfill()[-1]["counts"]["stored"] == 1
    assert backfill()[-1]["counts"] == {}


def test_the_run_tells_staff_which_states(provider: SimulatedProvider) -> None:
    announce(1)
    Media.objects.update(state=Media.State.EXPIRED)
    assert backfill("--again", "expired,missing")[-1]["counts"]["stored"] == 1
    assert CommandRun.objects.get().arguments == "--again expired,missing"


@pytest.mark.parametrize(
    ("options", "code"), [(["--again", "deleted"], 1), (["--workers", "9"], 2)]
)
def test_wrong_options_change_nothing(options: list[str], code: int) -> None:
    with pytest.raises(CommandError) as error:
        call_command("backfill_media", *options)
    assert error.value.returncode == code


def test_a_foreign_storage_is_refused(provider: SimulatedProvider) -> None:
    announce(1)
    installation.check(media_storage())
    media_storage().write_marker("another", replace=True)
    with pytest.raises(CommandError) as error:
        call_command("backfill_media", stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == 4
    assert Media.objects.get().attempts == 0
