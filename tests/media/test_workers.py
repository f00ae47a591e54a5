from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from pytest_django.fixtures import Settings
from redis import Redis
from redis.exceptions import OutOfMemoryError
from rq import Queue, Worker
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from media_app import workers
from media_app.management.commands.worker import QUEUES
from media_app.workers import MAX_RESTART_PAUSE, QueueWatch, WorkerSlot
from simulator.processes import Process
from tests.waiting import until

MANAGE = Path(__file__).parents[2] / "manage.py"
NONE_BUT_TWO_THAT_FETCH = [
    f"--{queue}={2 if queue == 'ingest' else 0}" for queue in QUEUES
]


class Crew:
    """``manage.py worker`` with two that fetch."""

    def __init__(self, process: Process, redis: Redis) -> None:
        self.process = process
        self._redis = redis

    def pids(self) -> set[int]:
        return {
            child.pid
            for child in psutil.Process(self.process.pid).children()
            if _lives(child.pid)
        }

    def wait_until_two_work(self, *, without: frozenset[int] = frozenset()) -> set[int]:
        """Both workers taken by workers that are ready for a job; their pids."""
        until(lambda: len(self.pids() - without) == 2 and self.pids() <= self._ready())
        return self.pids()

    def _ready(self) -> set[int]:
        return {
            worker.pid for worker in Worker.all(connection=self._redis) if worker.pid
        }


@pytest.fixture
def crew(redis: Redis, redis_port: int, tmp_path: Path) -> Iterator[Crew]:
    process = Process(
        "worker",
        [
            sys.executable,
            MANAGE,
            "worker",
            *NONE_BUT_TWO_THAT_FETCH,
        ],
        log=tmp_path / "worker.log",
        env={
            **os.environ,
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "DJANGO_SETTINGS_MODULE": "tests.sleeping_settings",
        },
    )
    process.start()
    yield Crew(process, redis)
    process.kill()


def _lives(pid: int) -> bool:
    """Whether this process runs; one that nobody has buried yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_each_queue_has_workers(settings: Settings) -> None:
    assert set(QUEUES) == set(settings.RQ_QUEUES)


def test_a_worker_that_is_killed_is_replaced_and_all_leave_on_sigterm(
    crew: Crew,
) -> None:
    before = crew.wait_until_two_work()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    after = crew.wait_until_two_work(without=frozenset({victim}))
    assert before - after == {victim}
    os.kill(crew.process.pid, signal.SIGTERM)
    until(lambda: not crew.process.is_running())
    assert crew.process.popen is not None and crew.process.popen.returncode == 0
    assert not any(map(_lives, before | after))


def test_workers_end_with_their_supervisor(crew: Crew) -> None:
    pids = crew.wait_until_two_work()
    os.kill(crew.process.pid, signal.SIGKILL)
    until(lambda: not any(map(_lives, pids)))


def test_a_running_job_is_waited_for_unless_asked_twice(
    crew: Crew, redis: Redis
) -> None:
    crew.wait_until_two_work()
    queue = Queue("ingest", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue("time.sleep", 600)
    until(lambda: job.get_status() == JobStatus.STARTED)
    os.kill(crew.process.pid, signal.SIGTERM)
    until(lambda: len(crew.pids()) == 1)
    assert job.get_status() == JobStatus.STARTED

    def is_gone_when_asked_again() -> bool:
        os.kill(crew.process.pid, signal.SIGTERM)
        return not crew.process.is_running()

    until(is_gone_when_asked_again)


def test_a_worker_that_is_stopped_as_it_is_born_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It still has the handlers of its supervisor, which only count."""
    run = workers.run

    def stopped_at_once(queue: str, parent: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        run(queue, parent)

    monkeypatch.setattr(workers, "run", stopped_at_once)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        slot = WorkerSlot("ingest")
        slot.start()
        assert slot.process is not None
        slot.process.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert slot.process.exitcode == -signal.SIGTERM


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(workers, "time", clock)
    return clock


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> WorkerSlot:
    """A slot whose workers end at once."""
    monkeypatch.setattr(workers, "run", lambda queue, parent: os._exit(3))
    return WorkerSlot("ingest")


def _reap(slot: WorkerSlot) -> None:
    """Wait for the end of the worker, and let the slot see it."""
    assert slot.process is not None
    slot.process.join()
    slot.start()


def test_restarts_of_a_failing_worker_slow_down(slot: WorkerSlot, clock: Clock) -> None:
    pauses = []
    slot.start()
    for _ in range(8):
        died = clock.now
        _reap(slot)
        while slot.process is None:
            clock.now += 0.25
            slot.start()
        pauses.append(clock.now - died)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, *[MAX_RESTART_PAUSE] * 3]


def test_a_worker_that_ran_long_is_replaced_at_once(
    slot: WorkerSlot, clock: Clock
) -> None:
    slot.start()
    first = slot.process
    clock.now += MAX_RESTART_PAUSE
    _reap(slot)
    assert slot.process is not None and slot.process is not first


def test_no_worker_starts_before_the_queue_takes_jobs(
    redis_at: Callable[[int], None],
    redis: Redis,
    redis_port: int,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = QueueWatch()
    redis_at(1)
    assert not watch.works()
    assert (
        caplog.records[-1].__dict__["reason"]
        == "Nothing listens at the host and port of REDIS_URL."
    )
    redis_at(redis_port)
    assert not watch.works()
    clock.now += 1
    assert watch.works()


def test_a_queue_that_is_away_is_asked_less_often(
    redis_at: Callable[[int], None], clock: Clock
) -> None:
    redis_at(1)
    watch, asked = QueueWatch(), []
    for _ in range(240):
        before = watch._ask_from
        watch.works()
        if watch._ask_from != before:
            asked.append(clock.now - 1000)
        clock.now += 0.25
    assert asked == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5, 35.5, 45.5, 55.5]


def test_a_failure_of_redis_in_a_worker_is_one_line() -> None:
    error = OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
    record = logging.LogRecord(
        "rq.worker",
        logging.ERROR,
        "",
        0,
        "quitting",
        (),
        (OutOfMemoryError, error, None),
    )
    assert workers._without_traceback(record)
    assert record.exc_info is None
    assert record.__dict__["reason"] == "Redis is full (maxmemory): it takes no jobs."
