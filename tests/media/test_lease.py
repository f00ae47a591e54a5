from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from media_app.lease import renewed
from media_app.models import Lease, Media
from media_app.sources import Deadline, FetchTarget, source
from media_app.sources.errors import UnavailableError
from tests.media.files import Announced
from tests.sources.hostile import HostileProvider
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

OFTEN = timedelta(milliseconds=50)


@pytest.fixture
def lease(announced: Announced) -> Lease:
    announced()
    lease = Media.objects.claim()
    assert lease is not None
    return lease


def _lease_until() -> datetime:
    until = Media.objects.get().lease_until
    assert until is not None
    return until


def _keepers() -> list[threading.Thread]:
    """The threads that renew leases now."""
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("lease-")
    ]


@contextmanager
def _body_of(url: str, deadline: Deadline) -> Iterator[Iterator[bytes]]:
    target = FetchTarget(
        account="",
        provider_media_id="",
        provider_message_id="",
        position=0,
        url=url,
        age=timedelta(0),
    )
    with source("url").open(target, deadline) as opened:
        yield opened.chunks


def test_a_lease_is_renewed_while_a_slow_body_drips(
    lease: Lease, hostile: HostileProvider
) -> None:
    deadline = Deadline(300)
    before = _lease_until()
    with (
        renewed(lease, deadline, every=OFTEN),
        _body_of(hostile.url("drip-body"), deadline) as chunks,
    ):
        assert any(_lease_until() > before for _ in chunks)


def test_a_transfer_ends_when_another_worker_has_taken_the_file_over(
    lease: Lease, hostile: HostileProvider
) -> None:
    deadline = Deadline(30)
    with (
        pytest.raises(UnavailableError, match="Another worker"),
        renewed(lease, deadline, every=OFTEN),
        _body_of(hostile.url("drip-body"), deadline) as chunks,
    ):
        next(chunks)
        Media.objects.update(lease_token=uuid4())
        for _ in chunks:
            pass


def test_a_lease_ends_with_the_work(lease: Lease) -> None:
    with renewed(lease, Deadline(30), every=OFTEN):
        until(_keepers)
    assert _keepers() == []


def test_a_lease_outlives_a_lost_connection(lease: Lease) -> None:
    broken: list[BaseDatabaseWrapper] = []

    def break_off(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
        """The keeper's first connection dies before it is used; Django does not know yet."""
        if threading.current_thread().name.startswith("lease-") and not broken:
            connection.connection.close()
            broken.append(connection)

    connection_created.connect(break_off)
    try:
        before = _lease_until()
        with renewed(lease, Deadline(300), every=OFTEN):
            until(lambda: _lease_until() > before)
    finally:
        connection_created.disconnect(break_off)
    assert broken


def test_a_lease_is_not_renewed_past_the_deadline(lease: Lease) -> None:
    before = _lease_until()
    with renewed(lease, Deadline(0), every=OFTEN):
        until(lambda: not _keepers())
    assert _lease_until() == before


def test_the_last_renewal_ends_with_the_deadline(lease: Lease) -> None:
    deadline = Deadline(5)
    with renewed(lease, deadline, every=OFTEN):
        # The claim gave it 45 s.
        until(lambda: _lease_until() < datetime.now(UTC) + timedelta(seconds=6))
    assert Media.objects.get().lease_token == lease.token
