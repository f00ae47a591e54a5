"""A drainer that stands still in the middle of a batch: its host sleeps, or its network is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from media_app.models import Media
from mediahub.env import BASE_DIR
from messages_app import inbox
from messages_app.models import Delivery, DrainLease
from tests.messages.mail import album, arrive, photo
from tests.messages.rival import database_url, environment
from tests.messages.rows import all_rows
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

FREEZES_IN_A_BATCH = """
import os, signal, django
django.setup()
from messages_app import inbox
read = inbox.read_batch
def read_and_freeze(batch):
    read(batch)
    os.kill(os.getpid(), signal.SIGSTOP)
inbox.read_batch = read_and_freeze
inbox.drain()
"""


@pytest.fixture
def frozen() -> Iterator[subprocess.Popen[bytes]]:
    """A drainer that has stopped before its commit; the server ends its transaction after half a
    second.
    """
    impatient = f"{database_url()}?options=-c%20idle_in_transaction_session_timeout=500"
    env = {
        **environment(),
        "DATABASE_URL": impatient,
        "DJANGO_SETTINGS_MODULE": "mediahub.settings",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", FREEZES_IN_A_BATCH],
        env=env,
        cwd=BASE_DIR,
        stderr=subprocess.PIPE,
    )
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    with process:
        yield process
        process.kill()


def lease_runs_out() -> bool:
    """End the lease before its time, unless its row is locked."""
    with transaction.atomic():
        unlocked = DrainLease.objects.select_for_update(skip_locked=True)
        past = timezone.now() - timedelta(seconds=1)
        return bool(unlocked) and DrainLease.objects.update(until=past) == 1


@pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="SQLite has one writer, and no server that ends its wait",
)
def test_a_frozen_drainer_blocks_nobody_for_long_and_does_no_harm_later(
    request: pytest.FixtureRequest,
) -> None:
    arrive(*(album(photo(number)) for number in range(3)))
    late = request.getfixturevalue("frozen")
    until(lease_runs_out)
    assert inbox.drain() == 3
    rows = all_rows()
    late.send_signal(signal.SIGCONT)
    assert b"IdleInTransactionSessionTimeout" in late.communicate()[1]
    assert all_rows() == rows and Media.objects.count() == 3
    assert not Delivery.objects.due().exists()
    assert DrainLease.acquire()
