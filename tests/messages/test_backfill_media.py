"""The command that fetches what is announced and not stored."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

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


def test_a_storage_that_goes_away_ends_the_run(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(1, 2, 3)
    begun: list[int] = []

    def wait_for_turn() -> None:
        begun.append(1)
        if len(begun) == 2:
            media_storage().write_marker("another", replace=True)

    monkeypatch.setattr(rate, "wait_for_turn", wait_for_turn)
    with pytest.raises(CommandError) as error:
        call_command("backfill_media", "--workers", "1", stdout=StringIO())
    assert error.value.returncode == 4
    assert CommandRun.objects.get().counts == {
        "attempted": 2,
        "stored": 1,
        "failed_storage": 1,
    }
    states = Media.objects.order_by("state").values_list("state", "attempts")
    assert list(states) == [("pending", 0), ("retrying", 1), ("stored", 1)]


def test_a_list_that_cannot_be_read_stops_no_file(provider: SimulatedProvider) -> None:
    announce(1)
    with override_settings(TWILIO_AUTH_TOKEN=["wrong"]):
        lines = backfill("--list-messages")
    assert lines[0]["result"] == "list_not_read"
    assert lines[-1]["counts"] == {"lists_not_read": 1, "attempted": 1, "stored": 1}
    assert lines[-1]["outcome"] == "partly"


def test_without_an_account_there_is_no_list(provider: SimulatedProvider) -> None:
    with (
        override_settings(TWILIO_ACCOUNT_SID=""),
        pytest.raises(CommandError) as error,
    ):
        call_command("backfill_media", "--list-messages", stdout=StringIO())
    assert error.value.returncode == 4


def test_a_foreign_storage_is_refused(provider: SimulatedProvider) -> None:
    announce(1)
    installation.check(media_storage())
    media_storage().write_marker("another", replace=True)
    with pytest.raises(CommandError) as error:
        call_command("backfill_media", stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == 4
    assert Media.objects.get().attempts == 0
