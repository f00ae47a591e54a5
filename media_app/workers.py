"""A supervised set of RQ workers, one process and one queue each.

They run their jobs in their own process and keep their connections: with a fork for each job,
each would connect to the storage and the database again. Files of strangers are decoded in a
process of its own, which may crash (``media_app.decoding``).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from django.conf import settings
from redis import Redis, RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from media_app import queues
from media_app.allowed_jobs import AllowedJob
from media_app.reasons import reason

log = logging.getLogger(__name__)

# RQ cleans its registries this often. Lost work is found by the sweeper.
MAINTENANCE_SECONDS = 60
# How long an idle worker blocks on its queue in one call.
WORKER_TTL_SECONDS = 45
# Previews give way to fetching: a provider deletes its files, a preview can be made at any time.
PREVIEW_NICENESS = 10
# The most between the end of a worker and the start of the next one in its slot; a worker that ran
# for so long is replaced at once.
MAX_RESTART_PAUSE = 10.0
# A Redis that takes longer is down for a supervisor. Enqueueing has a shorter timeout: a webhook
# waits for it.
REDIS_TIMEOUT_SECONDS = 2.0
_STOP = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1

_fork = get_context("fork")


class WorkerSlot:
    """One worker of one queue; a worker that ends is replaced."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.process: BaseProcess | None = None
        self._started = 0.0
        self._pause = 0.0
        self._free_from = 0.0

    def is_running(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def start(self) -> None:
        """Start a worker unless one is running; after each that ended early the pause is longer."""
        if self.is_running():
            return
        now = time.monotonic()
        if self.process is not None:
            self._reap(self.process, now)
        if now >= self._free_from:
            self._started = now
            self.process = _fork.Process(
                target=run, args=(self.queue, os.getpid()), name=f"worker-{self.queue}"
            )
            with _signals_blocked():
                self.process.start()

    def stop(self) -> None:
        if self.process is not None and self.process.is_alive():
            self.process.terminate()

    def _reap(self, process: BaseProcess, now: float) -> None:
        young = now - self._started < MAX_RESTART_PAUSE
        self._pause = _longer(self._pause) if young else 0.0
        self._free_from = now + self._pause
        self.process = None
        log.warning(
            "a worker died", extra={"queue": self.queue, "exit_code": process.exitcode}
        )


def _longer(pause: float) -> float:
    return min(max(pause * 2, 0.5), MAX_RESTART_PAUSE)


class QueueWatch:
    """Whether Redis takes jobs: checked before workers are started, at growing intervals while it
    does not.
    """

    def __init__(self) -> None:
        self._pause = 0.0
        self._ask_from = 0.0

    def works(self) -> bool:
        now = time.monotonic()
        if now < self._ask_from:
            return False
        problem = queues.problem(timeout=REDIS_TIMEOUT_SECONDS)
        if problem:
            self._pause = _longer(self._pause)
            self._ask_from = now + self._pause
            log.warning("workers wait for the queue", extra={"reason": problem})
        elif self._pause:
            self._pause = 0.0
            log.info("the queue works again")
        return not problem


def supervise(workers: Mapping[str, int], *, poll_seconds: float = 0.5) -> None:
    """Keep ``workers`` (how many, by queue) running until SIGTERM or SIGINT, then let them finish
    their jobs.

    A second signal ends running jobs at once; nothing is lost by that.
    """
    slots = [
        WorkerSlot(queue) for queue, number in workers.items() for _ in range(number)
    ]
    asked = 0

    # It only counts: whatever else it did could meet a worker half started.
    def stop(number: int, frame: object) -> None:
        nonlocal asked
        asked += 1

    for number in _STOP:
        signal.signal(number, stop)
    queue = QueueWatch()
    while not asked:
        # A worker without a queue ends at once: none is started before there is one.
        if not all(slot.is_running() for slot in slots) and queue.works():
            for slot in slots:
                slot.start()
        time.sleep(poll_seconds)
    passed_on = 0
    while any(slot.is_running() for slot in slots):
        if passed_on < asked:
            passed_on = asked
            for slot in slots:
                slot.stop()
        time.sleep(poll_seconds / 5)


def run(queue: str, parent: int) -> None:
    """Work on one queue until told to stop."""
    for number in _STOP:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
    _die_with(parent)
    logging.getLogger("rq.worker").addFilter(_without_traceback)
    try:
        worker = _worker(queue)
        log.info("worker started", extra={"queue": queue})
        worker.work(logging_level="WARNING")
    except RedisError as error:
        log.warning(
            "a worker ends, because the queue failed",
            extra={"queue": queue, "reason": reason(error)},
        )
        raise SystemExit(1) from None
    except Exception:
        # multiprocessing would print it as it is, with whatever the exception holds.
        log.exception("a worker ends", extra={"queue": queue})
        raise SystemExit(1) from None


def _worker(queue: str) -> BaseWorker:
    connection = Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=5, health_check_interval=30
    )
    if queue == "previews":
        os.nice(PREVIEW_NICENESS)
    worker = SimpleWorker(
        [queue],
        connection=connection,
        job_class=AllowedJob,
        serializer=JSONSerializer,
        maintenance_interval=MAINTENANCE_SECONDS,
        worker_ttl=WORKER_TTL_SECONDS,
        log_job_description=False,
    )
    # RQ would wait up to a minute longer than Redis is away.
    worker.max_connection_wait_time = MAX_RESTART_PAUSE
    return worker


def _without_traceback(record: logging.LogRecord) -> bool:
    """Log a failure of Redis in one sentence, without RQ's traceback."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, RedisError):
        record.exc_info = None
        record.reason = reason(error)
    return True


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Signals to stop wait until the block ends: a new worker still has its supervisor's handlers,
    which stop nothing.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with(parent: int) -> None:
    """End this worker when its supervisor is killed (Linux): a restarted supervisor starts its
    own.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (AttributeError, OSError):
        return
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")
