"""An erasure is killed at each step, or meets others at work: the end is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.models.functions import Now

from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.erasing import flow
from messages_app.management.commands import sweep
from messages_app.models import ErasureRequest, Message
from tests.faults import crash
from tests.messages.erasing.world import (
    forwarded,
    left_of_ada,
    others,
    people,
    photo,
    settle,
)
from tests.messages.mail import ADA, BOB, arrive
from tests.storage.buckets import put

pytestmark = pytest.mark.django_db(transaction=True)
both_databases = pytest.mark.both_databases

POINTS = [
    *(f"erase_after_{name}" for name, _ in flow.STEPS),
    "move_after_copy",
    "move_after_row",
    "erase_after_mark",
    "purge_after_claim",
    "purge_after_delete",
    "erase_within_files",
    "erase_within_objects",
    "erase_within_deliveries",
    pytest.param("erase_within_rows", marks=both_databases),
    pytest.param("erase_after_record", marks=both_databases),
]


def requested() -> ErasureRequest:
    return flow.request_erasure(ADA, requested_by="test")


def an_hour_passes() -> None:
    crash.an_hour_passes()
    ErasureRequest.objects.update(lease_until=Now() - timedelta(seconds=1))


def is_done() -> bool:
    return ErasureRequest.objects.get().state == "done"


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_erasure_is_finished_by_the_next_sweep(point: str) -> None:
    people()
    arrive(crash.album(forwarded(1)))
    settle()
    request = requested()
    crash.dies_at(point, lambda: flow.carry_out(request.id))
    an_hour_passes()
    flow.sweep()
    assert is_done()
    assert left_of_ada() == []
    assert Media.objects.filter(owner=BOB, state="stored").count() == 2
    assert {each.key for each in media_storage().list(f"{BOB}/")} == {
        *Media.objects.filter(owner=BOB).values_list("key", flat=True)
    }


@both_databases
def test_two_at_once_erase_once() -> None:
    people()
    before = others()
    request = requested()
    both = threading.Barrier(2)
    together(2, lambda: (both.wait(60), flow.carry_out(request.id)))
    flow.sweep()
    assert is_done()
    assert left_of_ada() == []
    assert others() == before


def together(number: int, work: Callable[[], object]) -> None:
    """The work in so many threads; raises what one of them raised."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


@both_databases
def test_a_burst_meanwhile_is_there_whole() -> None:
    people()
    requests = [crash.album(photo(100 + each)) for each in range(20)]
    request = requested()
    arrive(*requests[:5])
    thread = threading.Thread(target=send_and_read, args=(requests[5:],))
    thread.start()
    flow.carry_out(request.id)
    thread.join()
    settle()
    flow.sweep()
    assert is_done()
    files = Media.objects.filter(owner=ADA)
    assert Message.objects.filter(contact__owners__owner=ADA).count() == 20
    assert set(files.values_list("state", flat=True)) == {"stored"}
    assert {each.key for each in media_storage().list(f"{ADA}/")} == {
        *files.values_list("key", flat=True)
    }


def send_and_read(requests: list[object]) -> None:
    try:
        for each in requests:
            arrive(each)  # type: ignore[arg-type]
            inbox.drain()
    finally:
        connections.close_all()


def test_what_was_received_and_not_read_goes_too() -> None:
    arrive(crash.album(photo(1), photo(2, BOB, "Bob")))
    flow.carry_out(requested().id)
    assert is_done()
    settle()
    assert left_of_ada() == []
    assert Media.objects.get().owner == BOB


def test_a_worker_that_puts_after_it_removes_its_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrive(crash.album(photo(1)))
    inbox.drain()
    request = requested()
    storage = type(media_storage())
    put = storage.put

    def erase_after(self: object, key: str, *args: object, **words: object) -> None:
        put(self, key, *args, **words)  # type: ignore[arg-type]
        if key.startswith(ADA):
            # The lease of a worker that was frozen for long.
            an_hour_passes()
            flow.carry_out(request.id)
            put(self, key, *args, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(storage, "put", erase_after)
    ingest_next()
    assert is_done()
    assert not Media.objects.exists()
    assert left_of_ada() == []


def test_a_leased_request_is_left_to_its_holder() -> None:
    people()
    request = requested()
    assert ErasureRequest.objects.claim(request.id)
    assert not flow.carry_out(request.id)
    assert Message.objects.filter(contact__owners__owner=ADA).exists()


def test_what_comes_up_behind_it_is_found_by_the_next_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people()
    request = requested()
    key = f"{ADA}/1700000000-0-0123456789ab.jpeg"

    def put_behind(name: str) -> None:
        if name == "erase_after_objects" and not left:
            left.append(key)
            put(media_storage(), key, b"late")

    left: list[str] = []
    monkeypatch.setattr(flow, "failpoint", put_behind)
    flow.carry_out(request.id)
    assert is_done()
    assert [*media_storage().list(f"{ADA}/")] == []


def test_a_single_sweep_goes_on_until_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people()
    requested()
    # Each pass ends as soon as it has erased something.
    monkeypatch.setitem(sweep.DUTIES, "erase people", lambda: flow.sweep(seconds=0.001))
    call_command("sweep", stdout=StringIO())
    assert is_done()
    assert left_of_ada() == []
