"""``manage.py replay_deliveries``: kept deliveries are read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from media_app.models import CommandRun, Media
from messages_app import delivery_batches, inbox
from messages_app.management.commands import replay_deliveries
from messages_app.models import Delivery, DrainLease, QuarantinedItem
from messages_app.providers import meta_reader
from tests.messages.burst_with_a_flaw import fixed, with_third_broken
from tests.messages.mail import album, arrive, field, image, meta_bytes, photo
from tests.messages.rows import all_rows

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def replay(*arguments: str) -> str:
    out = StringIO()
    call_command("replay_deliveries", *arguments, stdout=out)
    return out.getvalue().strip()


@pytest.fixture
def read_before() -> list[str]:
    """Three deliveries: one whole, one in part, one not at all; their ids in this order."""
    arrive(album(photo(100)), with_third_broken(), meta_bytes(b"not JSON"))
    inbox.drain()
    by_state = dict(Delivery.objects.values_list("state", "id"))
    return [by_state[state] for state in ("processed", "partial", "failed")]


def test_with_a_fixed_reader_what_was_missing_is_there(
    read_before: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(meta_reader._READERS, "messages", fixed)
    assert (
        replay("--state", "partial")
        == "1 deliveries replayed: 1 read, 0 still quarantined"
    )
    assert Media.objects.count() == 21
    assert list(QuarantinedItem.objects.values_list("path", flat=True)) == [""]
    assert not Delivery.objects.filter(state="processed").exclude(last_error="")


def test_what_still_cannot_be_read_makes_it_exit_1(read_before: list[str]) -> None:
    before = all_rows()
    with pytest.raises(CommandError) as error:
        replay()
    assert error.value.returncode == 1
    assert "2 deliveries" in str(error.value)
    assert all_rows() == before
    assert set(Delivery.objects.values_list("state", flat=True)) == {
        "processed",
        "partial",
        "failed",
    }


def test_by_default_what_was_read_is_left_alone_and_what_was_not_is_read(
    read_before: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    read = delivery_batches.read_batch

    def noted(batch: Sequence[Delivery]) -> None:
        seen.extend(delivery.id for delivery in batch)
        read(batch)

    monkeypatch.setattr(inbox, "read_batch", noted)
    with pytest.raises(CommandError):
        replay()
    assert set(seen) == set(read_before[1:])


def test_the_outcome_is_json_for_machines(read_before: list[str]) -> None:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("replay_deliveries", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {
        "replayed": 2,
        "read": 0,
        "unreadable": 2,
        "quarantined_items": 2,
    }


def test_a_replay_leaves_a_row_for_staff(read_before: list[str]) -> None:
    replay(read_before[0][:12])
    run = CommandRun.objects.get()
    assert (run.command, run.arguments, run.state) == ("replay_deliveries", "…", "done")
    assert (run.counts["replayed"], run.counts["unreadable"]) == (1, 0)


def test_an_id_names_one_delivery_whatever_its_state(read_before: list[str]) -> None:
    assert (
        replay(read_before[0][:12])
        == "1 deliveries replayed: 1 read, 0 still quarantined"
    )
    assert (
        replay(*read_before, "--state", "processed")
        == "1 deliveries replayed: 1 read, 0 still quarantined"
    )


@pytest.mark.parametrize("id", ["0" * 64, "%", "_"])
def test_an_id_of_no_delivery_is_reported(id: str, read_before: list[str]) -> None:
    with pytest.raises(CommandError, match="No delivery"):
        replay(read_before[1], id)
    assert not Delivery.objects.due().exists()


def test_an_id_of_two_deliveries_is_reported(read_before: list[str]) -> None:
    Delivery.objects.create(id=read_before[0][:60] + "zzzz", endpoint="meta", body=b"")
    with pytest.raises(CommandError, match="More than one"):
        replay(read_before[0][:60])


def test_since_and_until_choose_by_time_of_receipt(read_before: list[str]) -> None:
    for day, id in zip((18, 19, 20), read_before, strict=True):
        Delivery.objects.filter(id=id).update(
            received_at=datetime(2026, 11, day, 12, tzinfo=UTC), state="failed"
        )
    assert replay("--until", "2026-11-19").startswith("1 ")
    assert replay("--until", "2026-11-19").startswith("0 ")
    with pytest.raises(CommandError, match="1 deliveries"):
        replay("--since", "2026-11-19T12:00+00:00", "--until", "2026-11-20T12:00+00:00")
    with pytest.raises(CommandError, match="is not a time"):
        replay("--since", "yesterday")


def test_a_field_names_its_deliveries_whatever_their_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As a version before did: it read one field, and no other.
    with monkeypatch.context() as before:
        before.setattr(meta_reader, "_FIELDS", {"messages": "live"})
        spaced = meta_bytes(
            json.dumps(
                json.loads(field("history", messages=[image("wamid.1")]).body), indent=2
            ).encode()
        )
        arrive(
            spaced,
            field("standby", standby={"messages": [image("wamid.2")]}),
            album(photo(1, text='"field":"history"')),
        )
        inbox.drain()
    assert Media.objects.count() == 1
    assert (
        replay("--field", "history")
        == "1 deliveries replayed: 1 read, 0 still quarantined"
    )
    assert Media.objects.count() == 2
    assert replay("--field", "history", "--field", "standby").startswith("2 ")
    assert Media.objects.count() == 3
    assert replay("--field", "standby", "--state", "failed").startswith("0 ")


def test_while_another_process_reads_the_inbox_its_end_is_waited_for(
    read_before: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = DrainLease.acquire()
    assert token
    looks = []

    def look(seconds: float) -> None:
        looks.append(seconds)
        DrainLease.release(token)

    monkeypatch.setattr("time.sleep", look)
    assert replay(read_before[0]).startswith("1 deliveries replayed: 1 read")
    assert len(looks) == 1


def test_a_delivery_given_up_for_crashing_gets_all_its_tries_again(
    read_before: list[str],
) -> None:
    Delivery.objects.filter(id=read_before[0]).update(
        state="failed", attempts=5, last_error="Given up"
    )
    assert replay("--until", "2999-01-01", read_before[0]).startswith(
        "1 deliveries replayed: 1 read"
    )
    assert Delivery.objects.values_list("attempts", "last_error").get(
        id=read_before[0]
    ) == (1, "")


def test_its_help_shows_an_example() -> None:
    text = (
        replay_deliveries.Command()
        .create_parser("manage.py", "replay_deliveries")
        .format_help()
    )
    assert "python manage.py replay_deliveries --since 2026-11-20" in text
