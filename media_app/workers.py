"""A supervised set of RQ workers, one process and one queue each.

Inbox and ingest workers run their jobs in their own process and keep their connections:
a fork for each job would pay for boto3 and the database anew every time. Previews
decode what strangers sent; each is made in a fork of its own, which may crash.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from django.conf import settings
from redis import Redis
from rq import SimpleWorker, Worker
from rq.serializers import JSONSerializer

log = logging.getLogger(__name__)

# RQ looks after its registries this often; the sweeper is what brings work back.
MAINTENANCE_SECONDS = 60
# How long an idle worker blocks on its queue before it looks around.
WORKER_TTL_SECONDS = 45
LONGEST_PAUSE = 10.0
_PR_SET_PDEATHSIG = 1

_fork = get_context("fork")


class Seat:
    """A place for one worker of one queue; whoever dies on it is replaced."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.process: BaseProcess | None = None
        self._started = 0.0
        self._pause = 0.0

    def fill(self) -> None:
        """Start a worker if none is alive; one that keeps dying young has to wait a little longer each time."""
        if self.process is not None:
            if self.process.is_alive():
                return
            lived = time.monotonic() - self._started
            if lived < self._pause:
                return
            self._pause = min(max(self._pause * 2, 0.5), LONGEST_PAUSE) if lived < LONGEST_PAUSE else 0.0
            log.warning("a worker died", extra={"queue": self.queue, "exit_code": self.process.exitcode})
        self._started = time.monotonic()
        self.process = _fork.Process(target=run, args=(self.queue, os.getpid()), name=f"worker-{self.queue}")
        self.process.start()

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, number)


def supervise(seats: Mapping[str, int], *, look_every: float = 0.5) -> None:
    """Keep ``seats`` (workers by queue) filled until SIGTERM or SIGINT, then let them finish their jobs.

    A second signal ends running jobs at once; nothing is lost by that.
    """
    stopped = threading.Event()
    chairs = [Seat(queue) for queue, number in seats.items() for _ in range(number)]

    def stop(number: int, frame: object) -> None:
        stopped.set()
        for chair in chairs:
            chair.signal(signal.SIGTERM)

    for chair in chairs:
        chair.fill()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopped.wait(look_every):
        for chair in chairs:
            chair.fill()
    for chair in chairs:
        if chair.process is not None:
            chair.process.join()


def run(queue: str, parent: int) -> None:
    """Work on one queue until told to stop."""
    _die_with(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    connection = Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5, health_check_interval=30)
    worker_class = Worker if queue == "previews" else SimpleWorker
    worker = worker_class(
        [queue],
        connection=connection,
        serializer=JSONSerializer,
        maintenance_interval=MAINTENANCE_SECONDS,
        worker_ttl=WORKER_TTL_SECONDS,
        log_job_description=False,
    )
    worker.work(logging_level="WARNING")


def _die_with(parent: int) -> None:
    """End this worker when its supervisor is killed (Linux): a restarted supervisor brings its own."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (AttributeError, OSError):
        return
    if os.getppid() != parent:
        raise SystemExit("the supervisor is gone")
