"""RQ's queues in Redis. A job that is lost there costs time only: the sweeper finds the work in the
database.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from django.conf import settings
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from media_app.allowed_jobs import check_allowed
from media_app.reasons import reason

log = logging.getLogger(__name__)

# A webhook must be answered within a second even where Redis does not answer at all.
REDIS_TIMEOUT_SECONDS = 0.3
# Redis accepts so many in one request well within that time.
JOBS_PER_REQUEST = 100
# The sweeper queues work again: neither a job that waits nor one that failed may fill Redis. The
# log has a failure's traceback.
JOB_TTL_SECONDS = 3600
# ``enqueue_once`` adds nothing to a queue of this length. One of its jobs does all work that is
# due, so the jobs that wait are enough; so many wait only where no worker runs.
MAX_JOBS_PER_QUEUE = 2000
_PROBE_KEY = "mediahub:writable"
_REMEMBERED = "mediahub:remembered:"
PROBE_TTL_SECONDS = 10
# ValueError: REDIS_URL is not a valid address. A system check names it; no webhook fails by it.
_REDIS_ERRORS = (RedisError, ValueError)


@lru_cache(maxsize=1)
def connection() -> Redis:
    """This process's connection for adding jobs, with a short timeout. Workers have their own."""
    return _connect(REDIS_TIMEOUT_SECONDS)


def _connect(timeout: float) -> Redis:
    """Raises ValueError where REDIS_URL is not a valid address."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )


@lru_cache(maxsize=8)
def _queue(name: str) -> Queue:
    # Building a queue per call costs four times the enqueueing itself.
    return Queue(name, connection=connection(), serializer=JSONSerializer)


def enqueue(
    queue: str, job: str, *args: str, times: int = 1, timeout: int = 600
) -> bool:
    """Queue ``job`` (a dotted path) ``times`` times. False, and no error, when Redis can't take it.

    Raises ForbiddenJobError for a job that no worker would run.
    """
    check_allowed(job)
    data = Queue.prepare_data(
        job,
        args=args,
        timeout=timeout,
        ttl=JOB_TTL_SECONDS,
        result_ttl=0,
        failure_ttl=JOB_TTL_SECONDS,
    )
    try:
        for start in range(0, times, JOBS_PER_REQUEST):
            size = min(JOBS_PER_REQUEST, times - start)
            _queue(queue).enqueue_many([data] * size)
    except _REDIS_ERRORS as error:
        _log_not_queued(queue, error)
        return False
    return True


def enqueue_once(queue: str, job: str, *, seconds: int = 2, timeout: int = 600) -> bool:
    """Like ``enqueue``, unless the same job was queued within the last seconds and has not started.

    The job must call ``started`` before it looks for work. Work that comes after ``started`` then
    gets a job of its own, so none is missed.
    """
    try:
        is_first = connection().set(_once_key(job), 1, nx=True, ex=seconds)
        if not is_first or _queue(queue).count >= MAX_JOBS_PER_QUEUE:
            return True
    except _REDIS_ERRORS as error:
        _log_not_queued(queue, error)
        return False
    return enqueue(queue, job, timeout=timeout)


def started(job: str) -> None:
    """The job has started: ``enqueue_once`` queues the next one."""
    try:
        connection().delete(_once_key(job))
    except _REDIS_ERRORS:
        log.info("the key of a started job stays until it expires: the queue is down")


def waiting(queue: str) -> int:
    """How many jobs wait in a queue; 0 when Redis does not say."""
    try:
        return _queue(queue).count
    except _REDIS_ERRORS:
        return 0


def room(queue: str, limit: int) -> int:
    """How many jobs a queue takes until ``limit`` wait in it; 0 when Redis takes none: it is down,
    or full.
    """
    try:
        with connection().pipeline(transaction=False) as pipeline:
            # A full Redis still counts what it has.
            pipeline.set(_PROBE_KEY, 1, ex=PROBE_TTL_SECONDS)
            pipeline.llen(_queue(queue).key)
            _, waiting = pipeline.execute()
    except _REDIS_ERRORS:
        return 0
    return max(limit - int(waiting), 0)


def problem(*, timeout: float | None = None) -> str:
    """Why Redis takes no jobs, in one sentence; "" when it does. Writes one small key, which
    expires.

    With ``timeout`` (seconds) it is asked over a new connection.
    """
    try:
        if timeout is None:
            connection().set(_PROBE_KEY, 1, ex=PROBE_TTL_SECONDS)
        else:
            with _connect(timeout) as redis:
                redis.set(_PROBE_KEY, 1, ex=PROBE_TTL_SECONDS)
    except _REDIS_ERRORS as error:
        return _explain(error)
    return ""


def delete_failed_jobs() -> int | None:
    """Delete what Redis keeps of failed jobs for an hour: a traceback may quote what people sent.
    Returns how many; None where Redis does not answer.
    """
    deleted = 0
    try:
        for name in settings.RQ_JOBS:
            failed = FailedJobRegistry(queue=_queue(name))
            for id in failed.get_job_ids():
                failed.remove(id, delete_job=True)
                deleted += 1
    except _REDIS_ERRORS:
        return None
    return deleted


def remember(name: str, text: str) -> None:
    """Keep a text beside the queues, as one more copy of it. Nothing, where Redis takes none."""
    try:
        connection().set(f"{_REMEMBERED}{name}", text)
    except _REDIS_ERRORS as error:
        log.warning("not kept in Redis", extra={"reason": _explain(error)})


def remembered() -> dict[str, str]:
    """The texts of ``remember`` by their names; those that Redis still has, and tells."""
    found: dict[str, str] = {}
    try:
        for key in connection().scan_iter(f"{_REMEMBERED}*"):
            text = connection().get(key)
            if isinstance(key, bytes) and isinstance(text, bytes):
                found[key.decode().removeprefix(_REMEMBERED)] = text.decode()
    except _REDIS_ERRORS:
        return found
    return found


def eviction_policy() -> str:
    """What Redis does when it is full: anything but ``noeviction`` loses jobs. Raises RedisError,
    ValueError.
    """
    memory: dict[str, object] = connection().info("memory")
    return str(memory.get("maxmemory_policy", "unknown"))


def hosts() -> set[str]:
    """The names of the hosts where workers run; empty when Redis does not say."""
    try:
        workers = Worker.all(connection=connection(), serializer=JSONSerializer)
    except _REDIS_ERRORS:
        return set()
    return {worker.hostname for worker in workers if worker.hostname}


def _log_not_queued(queue: str, error: Exception) -> None:
    log.warning(
        "no job queued: the queue is down",
        extra={"queue": queue, "reason": _explain(error)},
    )


def _explain(error: Exception) -> str:
    if isinstance(error, ValueError):
        # Its text may hold a part of the address, and that a password.
        return "REDIS_URL is not the address of a Redis."
    return reason(error)


def _once_key(job: str) -> str:
    return f"mediahub:wake:{job}"
