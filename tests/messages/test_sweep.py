"""``manage.py sweep``: what finds the work that no hint told of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError
from redis import Redis

from media_app.models import Media
from mediahub.env import BASE_DIR
from messages_app import inbox
from messages_app.management.commands import sweep
from messages_app.models import Delivery, DrainLease
from tests.messages.mail import album, arrive, photo
from tests.messages.rival import environment
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def swept() -> str:
    out = StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue().strip()


def test_one_pass_reads_the_inbox_and_queues_the_files_but_fetches_none(
    redis: Redis,
) -> None:
    arrive(album(photo(1), photo(2)), album(photo(3)))
    redis.flushall()
    assert (
        swept() == "2 deliveries read, 0 files queued"
    )  # the drain itself queued them
    assert redis.llen("rq:queue:ingest") == 3
    assert set(Media.objects.values_list("state", "attempts")) == {("pending", 0)}


def test_files_whose_job_was_lost_are_queued_again(redis: Redis) -> None:
    arrive(album(photo(1), photo(2)))
    inbox.drain()
    redis.flushall()
    assert swept() == "0 deliveries read, 0 files queued"
    Media.objects.update(queued_until=None)
    assert swept() == "0 deliveries read, 2 files queued"


def test_without_redis_the_inbox_is_read_all_the_same() -> None:
    arrive(album(photo(1)))
    assert swept() == "1 deliveries read, 0 files queued"
    assert Media.objects.get().queued_until is None


def test_while_another_reads_the_files_are_queued_all_the_same(redis: Redis) -> None:
    arrive(album(photo(1)))
    inbox.drain()
    Media.objects.update(queued_until=None)
    assert DrainLease.acquire()
    assert swept() == "0 deliveries read, 1 files queued"


@pytest.mark.parametrize(
    "error", [OperationalError("canary +4915112345678"), ValueError("a fault of ours")]
)
@pytest.mark.parametrize("name", sweep.DUTIES)
def test_a_duty_that_fails_is_named_once_and_stops_no_other(
    name: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_at(name, error, monkeypatch)
    assert sweep._sweep(sweep.DUTIES).keys() == sweep.DUTIES.keys() - {name}
    (line,) = (record for record in caplog.records if record.name == sweep.__name__)
    assert (line.getMessage(), getattr(line, "duty", "")) == (
        "a duty of the sweeper failed",
        name,
    )
    assert "canary" not in caplog.text + str(vars(line))


def fail_at(name: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise error

    monkeypatch.setitem(sweep.DUTIES, name, fail)


def test_a_database_that_is_away_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_at(sweep.READ, InterfaceError("closed"), monkeypatch)
    assert len(sweep._sweep(sweep.DUTIES)) == len(sweep.DUTIES) - 1, (
        "a connection that was lost alone"
    )
    monkeypatch.setattr(sweep, "_database_answers", lambda: False)
    assert not sweep._sweep(sweep.DUTIES)


def test_a_single_pass_says_by_its_exit_that_a_duty_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_at("recheck sessions", ValueError("a fault of ours"), monkeypatch)
    with pytest.raises(CommandError, match="Failed: recheck sessions"):
        swept()


@pytest.fixture
def same_signal_handlers() -> Iterator[None]:
    before = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_pass_that_fails_is_not_the_last(
    same_signal_handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []

    def fail_then_be_stopped() -> int:
        passes.append(len(passes))
        if len(passes) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        raise OperationalError("locked")

    monkeypatch.setitem(sweep.DUTIES, sweep.READ, fail_then_be_stopped)
    call_command("sweep", every=0.001)
    assert passes == [0, 1, 2]


def test_repeated_it_ends_promptly_and_well_on_sigterm() -> None:
    arrive(album(photo(1)))
    with subprocess.Popen(
        [sys.executable, "manage.py", "sweep", "--every", "60"],
        cwd=BASE_DIR,
        env=environment(),
    ) as sweeper:
        try:
            until(
                lambda: (
                    not Delivery.objects.due().exists() or sweeper.poll() is not None
                )
            )
            sweeper.terminate()
            assert sweeper.wait(60) == 0
        finally:
            sweeper.kill()
    assert Media.objects.count() == 1
