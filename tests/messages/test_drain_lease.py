"""One drainer at a time, and none too few."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from media_app.models import Media
from messages_app import delivery_batches, inbox
from messages_app.models import Delivery, DrainLease
from tests.messages.mail import album, arrive, photo

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_a_second_drain_returns_at_once() -> None:
    arrive(album(photo(1)))
    assert DrainLease.acquire()
    assert inbox.drain() == 0
    assert Delivery.objects.due().count() == 1


def test_a_lease_that_ran_out_belongs_to_who_takes_it_next() -> None:
    old = DrainLease.acquire()
    assert old and DrainLease.acquire() is None
    DrainLease.objects.update(until=timezone.now() - timedelta(seconds=1))
    new = DrainLease.acquire()
    assert new
    assert not DrainLease.renew(old)
    DrainLease.release(old)
    assert DrainLease.acquire() is None
    assert DrainLease.renew(new)


def test_a_drain_gives_its_lease_back() -> None:
    arrive(album(photo(1)))
    inbox.drain()
    assert DrainLease.acquire()


def test_a_renewed_lease_lasts_its_whole_time_again() -> None:
    token = DrainLease.acquire()
    assert token
    soon = timezone.now() + timedelta(seconds=1)
    DrainLease.objects.update(until=soon)
    assert DrainLease.renew(token)
    until = DrainLease.objects.get().until
    assert until and until - soon > timedelta(seconds=40)


def test_what_comes_between_the_last_look_and_the_release_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = DrainLease.release
    late = [album(photo(2))]

    def release_late(token: UUID) -> None:
        while late:
            arrive(late.pop())
            assert inbox.drain() == 0, (
                "its job comes while the lease is held, and returns"
            )
        release(token)

    monkeypatch.setattr(DrainLease, "release", release_late)
    arrive(album(photo(1)))
    assert inbox.drain() == 2
    assert not Delivery.objects.due().exists()


def test_a_run_ends_in_time_and_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbox, "BATCH", 1)
    arrive(*(album(photo(number)) for number in range(3)))
    assert inbox.drain(seconds=0) == 1
    assert Delivery.objects.due().count() == 2
    assert DrainLease.acquire()


def test_a_drainer_that_lost_its_lease_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    read = delivery_batches.read_batch

    def read_and_lose(batch: Sequence[Delivery]) -> None:
        read(batch)
        DrainLease.objects.update(token=uuid4())

    monkeypatch.setattr(inbox, "read_batch", read_and_lose)
    monkeypatch.setattr(inbox, "BATCH", 1)
    arrive(*(album(photo(number)) for number in range(3)))
    assert inbox.drain() == 1
    assert Delivery.objects.due().count() == 2


def test_a_delivery_that_was_never_begun_has_not_been_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renew = DrainLease.renew

    def lose(token: UUID) -> bool:
        DrainLease.objects.update(token=uuid4())
        return renew(token)

    monkeypatch.setattr(DrainLease, "renew", lose)
    arrive(album(photo(1)))
    assert inbox.drain() == 0
    assert Delivery.objects.get().attempts == 0


def test_nobody_reads_beside_a_drainer_whose_lease_ran_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A lease that runs out while its holder is in the middle of a batch.
    monkeypatch.setattr(DrainLease, "DURATION", timedelta(seconds=-1))
    reading, go_on = threading.Event(), threading.Event()
    read, readers = delivery_batches.read_batch, []

    def read_slowly(batch: Sequence[Delivery]) -> None:
        readers.append(threading.current_thread().name)
        reading.set()
        assert go_on.wait(180)
        read(batch)

    monkeypatch.setattr(inbox, "read_batch", read_slowly)
    arrive(album(photo(1)), album(photo(2)))
    late, second = (
        threading.Thread(target=drain_and_close, name=name)
        for name in ("late", "second")
    )
    late.start()
    assert reading.wait(180)
    second.start()
    # On SQLite there is one writer: the second waits for it. On PostgreSQL it does not wait.
    second.join(180 if connection.vendor == "postgresql" else 0.3)
    assert second.is_alive() == (connection.vendor == "sqlite")
    go_on.set()
    late.join()
    second.join()
    assert readers == ["late"]
    assert Media.objects.count() == 2


def drain_and_close() -> None:
    try:
        inbox.drain()
    finally:
        connection.close()
