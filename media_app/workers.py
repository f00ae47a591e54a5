"""A supervised set of RQ workers, one process and one queue each.

They run their jobs in their own process and keep their connections: a fork for each job
would pay for boto3 and the database anew every time. What strangers sent is decoded in
a process of its own, which may crash (``media_app.decoding``).
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

# RQ looks after its registries this often; the sweeper is what brings work back.
MAINTENANCE_SECONDS = 60
# How long an idle worker blocks on its queue before it looks around.
WORKER_TTL_SECONDS = 45
# A preview can be made when it is looked at; a photo can't be fetched for ever.
PREVIEWS_NICENESS = 10
# Between the death of a worker that lived shorter than this and its successor.
LONGEST_PAUSE = 10.0
# A Redis that takes longer is down for a supervisor. Hints have less patience: a webhook waits for
# them.
REDIS_TIMEOUT_SECONDS = 2.0
_STOP = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1

_fork = get_context("fork")


class Seat:
    """A place for one worker of one queue; whoever dies on it is replaced."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.process: BaseProcess | None = None
        self._started = 0.0
        self._pause = 0.0
        self._free_from = 0.0

    def is_taken(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def fill(self) -> None:
        """Start a worker if none is alive; one that keeps dying young has to wait a little longer
        each time.
        """
        if self.is_taken():
            return
        now = time.monotonic()
        if self.process is not None:
            self._bury(self.process, now)
        if now >= self._free_from:
            self._started = now
            self.process = _fork.Process(
                target=run, args=(self.queue, os.getpid()), name=f"worker-{self.queue}"
            )
            with _stop_held_back():
                self.process.start()

    def stop(self) -> None:
        if self.process is not None and self.process.is_alive():
            self.process.terminate()

    def _bury(self, process: BaseProcess, now: float) -> None:
        young = now - self._started < LONGEST_PAUSE
        self._pause = min(max(self._pause * 2, 0.5), LONGEST_PAUSE) if young else 0.0
        self._free_from = now + self._pause
        self.process = None
        log.warning(
            "a worker died", extra={"queue": self.queue, "exit_code": process.exitcode}
        )


class QueueWatch:
    """Whether Redis takes jobs: asked before workers are started, less often the longer it does
    not.
    """

    def __init__(self) -> None:
        self._pause = 0.0
        self._ask_from = 0.0

    def works(self) -> bool:
        now = time.monotonic()
        if now < self._ask_from:
            return False
        trouble = queues.trouble(timeout=REDIS_TIMEOUT_SECONDS)
        if trouble:
            self._pause = min(max(self._pause * 2, 0.5), LONGEST_PAUSE)
            self._ask_from = now + self._pause
            log.warning("workers wait for the queue", extra={"reason": trouble})
        elif self._pause:
            self._pause = 0.0
            log.info("the queue works again")
        return not trouble


def supervise(seats: Mapping[str, int], *, look_every: float = 0.5) -> None:
    """Keep ``seats`` (workers by queue) filled until SIGTERM or SIGINT, then let them finish their
    jobs.

    A second signal ends running jobs at once; nothing is lost by that.
    """
    chairs = [Seat(queue) for queue, number in seats.items() for _ in range(number)]
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
        if not all(chair.is_taken() for chair in chairs) and queue.works():
            for chair in chairs:
                chair.fill()
        time.sleep(look_every)
    passed_on = 0
    while any(chair.is_taken() for chair in chairs):
        if passed_on < asked:
            passed_on = asked
            for chair in chairs:
                chair.stop()
        time.sleep(look_every / 5)


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
        os.nice(PREVIEWS_NICENESS)
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
    worker.max_connection_wait_time = LONGEST_PAUSE
    return worker


def _without_traceback(record: logging.LogRecord) -> bool:
    """A failure of Redis is told in one sentence; where RQ met it helps nobody."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, RedisError):
        record.exc_info = None
        record.reason = reason(error)
    return True


@contextmanager
def _stop_held_back() -> Iterator[None]:
    """Signals to stop wait until the block ends: a newborn worker has its supervisor's handlers,
    which stop nothing.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with(parent: int) -> None:
    """End this worker when its supervisor is killed (Linux): a restarted supervisor brings its
    own.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (AttributeError, OSError):
        return
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")
