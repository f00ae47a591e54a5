from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from media_app import queues

INGEST = "media_app.jobs.ingest"
DRAIN = "messages_app.jobs.drain"


@pytest.fixture(params=["refused", "silent"])
def no_redis(
    request: pytest.FixtureRequest, redis_at: Callable[[int], None]
) -> Iterator[None]:
    """Nothing listens there, or what listens never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        redis_at(1 if request.param == "refused" else server.getsockname()[1])
        yield


@pytest.mark.usefixtures("no_redis")
@pytest.mark.parametrize(
    "enqueue",
    [
        lambda: queues.enqueue("ingest", INGEST, times=100),
        lambda: queues.enqueue_once("inbox", DRAIN),
    ],
)
def test_without_redis_nothing_is_queued(enqueue: Callable[[], bool]) -> None:
    assert enqueue() is False


def test_enqueueing_ends_within_a_second() -> None:
    waits = queues.connection().connection_pool.connection_kwargs
    assert waits["socket_connect_timeout"] + waits["socket_timeout"] < 1
    assert waits["retry"].get_retries() == 0


@pytest.mark.usefixtures("no_redis")
def test_a_job_starts_without_redis() -> None:
    queues.started(DRAIN)


def jobs(redis: Redis, queue: str) -> list[Job]:
    found: list[Job] = Queue(queue, connection=redis, serializer=JSONSerializer).jobs
    return found


def test_any_worker_reads_the_jobs(redis: Redis) -> None:
    assert queues.enqueue("ingest", INGEST, "x", times=3, timeout=123)
    found = jobs(redis, "ingest")
    assert len({job.id for job in found}) == 3
    for job in found:
        assert (job.func_name, job.args, job.timeout, job.result_ttl) == (
            INGEST,
            ["x"],
            123,
            0,
        )


def test_a_job_is_json_and_not_pickle(redis: Redis) -> None:
    queues.enqueue("ingest", INGEST)
    (job,) = jobs(redis, "ingest")
    data = redis.hget(job.key, "data")
    assert isinstance(data, bytes)
    assert json.loads(zlib.decompress(data))[0] == INGEST


def test_a_thousand_jobs_are_queued(redis: Redis) -> None:
    assert queues.enqueue("ingest", INGEST, times=1000)
    assert redis.llen("rq:queue:ingest") == 1000


def test_repeated_requests_queue_one_job(redis: Redis) -> None:
    assert all(queues.enqueue_once("inbox", DRAIN, seconds=60) for _ in range(20))
    assert len(jobs(redis, "inbox")) == 1


def test_a_started_job_allows_the_next(redis: Redis) -> None:
    queues.enqueue_once("inbox", DRAIN, seconds=60)
    queues.started(DRAIN)
    queues.enqueue_once("inbox", DRAIN, seconds=60)
    assert len(jobs(redis, "inbox")) == 2


def test_a_lost_job_blocks_the_next_briefly(redis: Redis) -> None:
    queues.enqueue_once("inbox", DRAIN)
    left = redis.pttl(f"mediahub:wake:{DRAIN}")
    assert 0 < left <= 2000


def test_no_job_stays_in_redis(redis: Redis, settings: Settings) -> None:
    """Those that wait, those that ended well, and those that failed."""
    settings.RQ_JOBS = {"ingest": ["builtins.print", "no.such.job"]}
    assert queues.enqueue("ingest", "builtins.print")
    assert queues.enqueue("ingest", "no.such.job")
    (waits, fails) = jobs(redis, "ingest")
    assert 0 < redis.ttl(waits.key) <= queues.JOB_TTL_SECONDS
    SimpleWorker(["ingest"], connection=redis, serializer=JSONSerializer).work(
        burst=True
    )
    for_ever = {key for key in redis.scan_iter() if redis.ttl(key) < 0}
    assert not redis.exists(waits.key)
    assert 0 < redis.ttl(fails.key) <= queues.JOB_TTL_SECONDS
    assert for_ever == {b"rq:queues", b"rq:failed:ingest"}


def test_jobs_without_a_worker_are_limited(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MAX_JOBS_PER_QUEUE", 3)
    for _ in range(5):
        assert queues.enqueue_once("inbox", DRAIN)
        queues.started(DRAIN)
    assert len(jobs(redis, "inbox")) == 3


def test_two_kinds_of_job_are_both_queued(redis: Redis) -> None:
    queues.enqueue_once("inbox", DRAIN)
    queues.enqueue_once("inbox", INGEST)
    assert [job.func_name for job in jobs(redis, "inbox")] == [DRAIN, INGEST]


def test_the_hosts_of_workers_are_known(
    redis: Redis, redis_at: Callable[[int], None]
) -> None:
    SimpleWorker(["ingest"], connection=redis).register_birth()  # type: ignore[no-untyped-call]
    assert queues.hosts() == {socket.gethostname()}
    redis_at(1)
    assert queues.hosts() == set()
