"""What one delivery, one crash or one failing statement can not do to the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from media_app import failpoints
from media_app import jobs as media_jobs
from media_app.models import Media
from messages_app import delivery_batches, event_rows, inbox
from messages_app.models import (
    Attachment,
    Delivery,
    DrainLease,
    Message,
    QuarantinedItem,
)
from messages_app.providers.base import RawDelivery
from messages_app.providers.events import Event
from messages_app.providers.meta import MetaProvider
from simulator.deliveries import SignedRequest
from tests.faults.crash import dies_at
from tests.messages.mail import album, arrive, image, meta, meta_bytes, photo, post
from tests.messages.rival import locked, python, was_killed
from tests.messages.rows import all_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def three_albums() -> list[SignedRequest]:
    return [
        album(*(photo(10 * place + number) for number in range(3)))
        for place in range(3)
    ]


def refuse(monkeypatch: pytest.MonkeyPatch, poison: str, error: Exception) -> None:
    """Writing the message with this id fails."""
    made = event_rows._message

    def make(received: Any, contacts: Any) -> Message:
        if received.event.provider_message_id == poison:
            raise error
        return made(received, contacts)

    monkeypatch.setattr(event_rows, "_message", make)


# --- a message that can't be kept ---------------------------------------------------


def test_a_message_that_cannot_be_saved_is_quarantined_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, "wamid.00000011", DataError("unfit"))
    arrive(*three_albums())
    assert inbox.drain() == 3
    assert (
        Message.objects.count()
        == Media.objects.count()
        == Attachment.objects.count()
        == 8
    )
    assert list(
        Delivery.objects.order_by("received_at").values_list("state", flat=True)
    ) == [*("processed", "partial", "processed")]
    assert "wamid.00000011" in QuarantinedItem.objects.get().error
    assert (
        Delivery.objects.get(state="partial").last_error
        == QuarantinedItem.objects.get().error
    )


def test_a_database_that_quotes_a_row_does_not_tell_the_log_whose_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = event_rows._message

    def make(*args: Any) -> Message:
        message = made(*args)
        # PostgreSQL: "Failing row contains (…)", all of it.
        message.kind, message.owner = None, "whatsapp:+canary"  # type: ignore[assignment]
        return message

    monkeypatch.setattr(event_rows, "_message", make)
    arrive(album(photo(1)))
    inbox.drain()
    assert "a batch could not be kept: IntegrityError" in caplog.text
    assert "an event could not be kept: IntegrityError" in caplog.text
    assert "canary" not in caplog.text
    assert ("(23502)" in caplog.text) == (connection.vendor == "postgresql")


def test_a_fault_of_our_own_is_logged_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse(monkeypatch, "wamid.00000001", ZeroDivisionError("ours"))
    arrive(album(photo(1)))
    inbox.drain()
    assert "Traceback" in caplog.text and "ZeroDivisionError: ours" in caplog.text


def _raise_data_error(*_: object) -> Message:
    raise DataError("unfit")


def test_what_is_beyond_the_databases_limits_is_the_messages_own_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # PostgreSQL calls an index entry of 10 KB an operational error, as it does a lock.
    endless = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=100_000))
    monkeypatch.setattr(
        "messages_app.providers.meta_message.sanitize_id", lambda id: id if id else ""
    )
    arrive(meta(image("wamid.1", context={"id": endless}), image("wamid.2")))
    inbox.drain()
    assert Media.objects.filter(provider_message_id="wamid.2").exists()
    assert QuarantinedItem.objects.count() == (
        1 if connection.vendor == "postgresql" else 0
    )
    assert not Delivery.objects.due().exists()


def test_a_fault_of_the_reader_itself_ends_in_quarantine_after_five_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = []
    read = MetaProvider.read

    def faulty(self: MetaProvider, delivery: RawDelivery) -> Sequence[Event]:
        if b"wamid.00000011" in delivery.body:
            tries.append(delivery)
            raise ZeroDivisionError
        return list(read(self, delivery))

    monkeypatch.setattr(MetaProvider, "read", faulty)
    arrive(*three_albums())
    inbox.drain()
    assert len(tries) == delivery_batches.QUARANTINED_FROM
    assert Media.objects.count() == 6
    failed = Delivery.objects.get(state="failed")
    assert QuarantinedItem.objects.get().delivery == failed
    assert "5 tries" in failed.last_error


def test_a_delivery_of_a_provider_we_no_longer_have_is_given_up_and_does_not_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Delivery.objects.store(endpoint="pigeon", content_type="", query="", body=b"coo")
    arrive(album(photo(1)))
    inbox.drain()
    assert sorted(Delivery.objects.values_list("endpoint", "state")) == [
        ("meta", "processed"),
        ("pigeon", "failed"),
    ]


def test_what_cannot_even_be_given_up_is_not_tried_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery_batches, "save_results", _raise_data_error)
    arrive(album(photo(1)))
    with pytest.raises(DataError):
        inbox.drain()
    assert Delivery.objects.get().state == "received"
    assert DrainLease.acquire() is not None


# --- a failure that has nothing to do with the delivery -------------------------------


def test_a_locked_table_rolls_the_batch_back_and_it_stays_due() -> None:
    arrive(*three_albums())
    for _ in range(delivery_batches.QUARANTINED_FROM + 1):
        with locked("messages_app_message"), pytest.raises(OperationalError):
            inbox.drain()
        # SQLite could not give its lease back through the lock.
        DrainLease.objects.update(until=None)
    assert not Message.objects.exists() and not Media.objects.exists()
    assert set(Delivery.objects.values_list("state", "attempts")) == {("received", 0)}
    assert inbox.drain() == 3
    assert Media.objects.count() == 9


@pytest.mark.parametrize("attempts", [0, delivery_batches.ALONE_FROM])
def test_a_lost_connection_quarantines_nothing(
    attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "wamid.00000011", OperationalError("the connection is lost"))
    arrive(*three_albums())
    Delivery.objects.update(attempts=attempts)
    with pytest.raises(OperationalError):
        inbox.drain()
    monkeypatch.undo()
    assert not QuarantinedItem.objects.exists()
    assert not Delivery.objects.filter(attempts__gt=attempts, state="received").exists()
    inbox.drain()
    assert Media.objects.count() == 9


# --- a failure that may be the delivery's fault or the database's ------------------------


@contextmanager
def refusing_statements(condition: str, sqlstate: str = "57014") -> Iterator[None]:
    """The database cuts off, with an operational error, each statement that inserts such a
    message.
    """
    table, when = "messages_app_message", f"WHEN ({condition})"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            overflow = "BEGIN SELECT abs(-9223372036854775808); END"
            cursor.execute(
                f"CREATE TRIGGER refusing BEFORE INSERT ON {table} {when} {overflow}"
            )
            undo = "DROP TRIGGER refusing"
        else:
            fail = f"BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = '{sqlstate}'; END"
            cursor.execute(
                f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $${fail}$$"
            )
            on = f"BEFORE INSERT ON {table} FOR EACH ROW"
            cursor.execute(
                f"CREATE TRIGGER refusing {on} {when} EXECUTE FUNCTION refuse()"
            )
            undo = "DROP FUNCTION refuse CASCADE"
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(undo)


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize("sqlstate", ["57014", "53200"])
def test_a_statement_that_always_fails_ends_in_quarantine_and_holds_up_nobody(
    sqlstate: str, others: int, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(
        album(photo(1, text="poison"), photo(2)),
        *(album(photo(10 + number)) for number in range(others)),
    )
    with refusing_statements("NEW.text = 'poison'", sqlstate):
        for attempts in range(1, delivery_batches.QUARANTINED_FROM):
            assert inbox.drain() == (others if attempts == 1 else 0)
            assert Delivery.objects.due().get().attempts == attempts
        assert inbox.drain() == 1
    assert "wamid.00000001" in QuarantinedItem.objects.get().error
    assert Media.objects.count() == others + 1
    assert "canary" not in caplog.text


def test_a_database_that_fails_for_all_counts_against_no_delivery() -> None:
    arrive(album(photo(1)))
    inbox.drain()
    arrive(album(photo(2)), album(photo(3)))
    with refusing_statements("NEW.text = ''"):
        for _ in range(delivery_batches.QUARANTINED_FROM + 1):
            with pytest.raises(OperationalError):
                inbox.drain()
    assert set(Delivery.objects.due().values_list("attempts", flat=True)) == {0}
    assert Message.objects.count() == 1 and Delivery.objects.count() == 3
    assert inbox.drain() == 2


def test_a_delivery_that_takes_all_time_of_its_job_ends_in_quarantine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, "wamid.00000011", JobTimeoutException("300 seconds"))
    arrive(*three_albums())
    for _ in range(delivery_batches.QUARANTINED_FROM):
        with pytest.raises(JobTimeoutException):
            inbox.drain()
    # The others did not wait for its end.
    assert Media.objects.count() == 6
    inbox.drain()
    assert QuarantinedItem.objects.get().delivery == Delivery.objects.get(
        state="failed"
    )


def test_a_failed_enqueue_leaves_the_batch_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_jobs, "enqueue_fetches", _raise_operational_error)
    arrive(*three_albums())
    assert inbox.drain() == 3
    assert not Delivery.objects.due().exists()


def _raise_operational_error() -> int:
    raise OperationalError("no Redis today")


# --- a crash of the whole process ---------------------------------------------------

KILLED_BETWEEN_MESSAGES_AND_FILES = """
from messages_app import event_rows, inbox
event_rows._attach = lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL)
inbox.drain()
"""


def let_the_lease_run_out() -> None:
    assert inbox.drain() == 0, "the dead reader's lease still holds"
    DrainLease.objects.update(until=timezone.now() - timedelta(seconds=1))


def test_killed_in_the_middle_of_a_batch_the_next_drain_ends_in_the_same_rows() -> None:
    arrive(*three_albums())
    assert was_killed(python(KILLED_BETWEEN_MESSAGES_AND_FILES))
    assert not Message.objects.exists()
    assert set(Delivery.objects.values_list("state", "attempts")) == {("received", 1)}
    let_the_lease_run_out()
    assert inbox.drain() == 3
    after = all_rows()
    for model in (Attachment, Message, Media):
        model._base_manager.all().delete()
    Delivery.objects.all().replay()
    inbox.drain()
    assert all_rows() == after


def test_a_body_that_kills_its_reader_is_read_alone_then_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, read_here = MetaProvider.read, []

    def deadly(self: MetaProvider, delivery: RawDelivery) -> Iterator[Event]:
        if b"poison" in delivery.body:
            failpoints.failpoint("poison")
            read_here.append(delivery)
        return iter(read(self, delivery))

    monkeypatch.setattr(MetaProvider, "read", deadly)
    arrive(album(photo(1)), meta_bytes(b'"poison"'), album(photo(2)))
    for attempts in range(1, delivery_batches.QUARANTINED_FROM + 1):
        dies_at("poison", inbox.drain)
        assert Delivery.objects.get(body=b'"poison"').attempts == attempts
        # As soon as each is taken alone, those that killed nobody yet come first.
        assert Media.objects.count() == (0, 0, 1, 2, 2)[attempts - 1]
        let_the_lease_run_out()
    inbox.drain()
    assert (Media.objects.count(), read_here) == (2, [])
    assert QuarantinedItem.objects.get().delivery == Delivery.objects.get(
        state="failed"
    )


def test_a_webhook_is_answered_while_the_inbox_is_being_read() -> None:
    arrive(*three_albums())
    assert DrainLease.acquire()
    assert post(album(photo(99))).status_code == 200
