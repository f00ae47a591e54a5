"""Telling workers that there is work. A hint may be lost: the sweeper finds the work by itself."""

from __future__ import annotations

import logging
from functools import lru_cache

from django.conf import settings
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from media_app.allowed_jobs import check_allowed
from media_app.reasons import reason

log = logging.getLogger(__name__)

# A webhook must be answered within a second even where Redis does not answer at all.
PATIENCE_SECONDS = 0.3
# As many as Redis takes in well within that time.
AT_ONCE = 100
# A job is only a notice, and the sweeper gives a new one: neither a job that waits nor one that
# failed may fill Redis. The log has a failure's traceback.
JOB_KEPT_SECONDS = 3600
# A wake-up stands for all work of its kind. A queue that holds so many jobs has no worker, or needs
# none.
MOST_WAITING = 2000
_PROBE_KEY = "mediahub:writable"
PROBE_KEPT_SECONDS = 10
# ValueError: an address that is none. It must not cost an answer, either; a system check names it.
_DOWN = (RedisError, ValueError)


@lru_cache(maxsize=1)
def connection() -> Redis:
    """This process's impatient connection, for giving hints. Workers have their own, patient
    ones.
    """
    return _connect(PATIENCE_SECONDS)


def _connect(patience: float) -> Redis:
    """Raises ValueError for an address that is none."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 0),
    )


@lru_cache(maxsize=8)
def _queue(name: str) -> Queue:
    # Building a queue per call costs four times the enqueueing itself.
    return Queue(name, connection=connection(), serializer=JSONSerializer)


def give(queue: str, job: str, *args: str, times: int = 1, timeout: int = 600) -> bool:
    """Queue ``job`` (a dotted path) ``times`` times. False, and no error, when Redis can't take it.

    Raises ForbiddenJobError for a job that no worker would run.
    """
    check_allowed(job)
    data = Queue.prepare_data(
        job,
        args=args,
        timeout=timeout,
        ttl=JOB_KEPT_SECONDS,
        result_ttl=0,
        failure_ttl=JOB_KEPT_SECONDS,
    )
    try:
        for start in range(0, times, AT_ONCE):
            _queue(queue).enqueue_many([data] * min(AT_ONCE, times - start))
    except _DOWN as error:
        log.warning(
            "no hint given: the queue is down",
            extra={"queue": queue, "reason": _why(error)},
        )
        return False
    return True


def give_once(queue: str, job: str, *, seconds: int = 2, timeout: int = 600) -> bool:
    """Like ``give``, unless the same was done within the last seconds and not yet taken up.

    The job must call ``taken_up`` before it looks for work: what comes after that look gives a new
    hint.
    """
    try:
        if not connection().set(_wake_key(job), 1, nx=True, ex=seconds):
            return True
        if _queue(queue).count >= MOST_WAITING:
            return True
    except _DOWN as error:
        log.warning(
            "no hint given: the queue is down",
            extra={"queue": queue, "reason": _why(error)},
        )
        return False
    return give(queue, job, timeout=timeout)


def waiting(queue: str) -> int:
    """How many jobs wait in a queue; 0 when Redis does not say."""
    try:
        return _queue(queue).count
    except _DOWN:
        return 0


def trouble(*, patience: float | None = None) -> str:
    """Why Redis takes no jobs, in one sentence; "" when it does. Writes one small key, which
    expires.

    With ``patience`` (seconds) it is asked over a new connection.
    """
    try:
        if patience is None:
            connection().set(_PROBE_KEY, 1, ex=PROBE_KEPT_SECONDS)
        else:
            with _connect(patience) as patient:
                patient.set(_PROBE_KEY, 1, ex=PROBE_KEPT_SECONDS)
    except _DOWN as error:
        return _why(error)
    return ""


def eviction_policy() -> str:
    """What Redis does when it is full: anything but ``noeviction`` loses jobs. Raises RedisError,
    ValueError.
    """
    memory: dict[str, object] = connection().info("memory")
    return str(memory.get("maxmemory_policy", "unknown"))


def room(queue: str, most: int) -> int:
    """How many jobs a queue takes until ``most`` wait in it; 0 when Redis takes none: it is down,
    or full.
    """
    try:
        with connection().pipeline(transaction=False) as pipeline:
            # A full Redis still counts what it has.
            pipeline.set(_PROBE_KEY, 1, ex=PROBE_KEPT_SECONDS)
            pipeline.llen(_queue(queue).key)
            _, waiting = pipeline.execute()
    except _DOWN:
        return 0
    return max(most - int(waiting), 0)


def taken_up(job: str) -> None:
    """The job has started; hints from now on count again."""
    try:
        connection().delete(_wake_key(job))
    except _DOWN:
        log.info("the wake key stays until it runs out: the queue is down")


def _why(error: Exception) -> str:
    # Its text may hold a part of the address, and that a password.
    return (
        "REDIS_URL is not the address of a Redis."
        if isinstance(error, ValueError)
        else reason(error)
    )


def _wake_key(job: str) -> str:
    return f"mediahub:wake:{job}"
