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

from media_app import hints

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
    "hint",
    [
        lambda: hints.give("ingest", INGEST, times=100),
        lambda: hints.give_once("inbox", DRAIN),
    ],
)
def test_without_redis_a_hint_is_false_and_no_error(hint: Callable[[], bool]) -> None:
    assert hint() is False


def test_a_hint_waits_for_redis_less_than_a_second() -> None:
    waits = hints.connection().connection_pool.connection_kwargs
    assert waits["socket_connect_timeout"] + waits["socket_timeout"] < 1
    assert waits["retry"].get_retries() == 0


@pytest.mark.usefixtures("no_redis")
def test_without_redis_a_job_can_start_all_the_same() -> None:
    hints.taken_up(DRAIN)


def jobs(redis: Redis, queue: str) -> list[Job]:
    found: list[Job] = Queue(queue, connection=redis, serializer=JSONSerializer).jobs
    return found


def test_permits_are_jobs_that_any_worker_reads(redis: Redis) -> None:
    assert hints.give("ingest", INGEST, "x", times=3, timeout=123)
    found = jobs(redis, "ingest")
    assert len({job.id for job in found}) == 3
    for job in found:
        assert (job.func_name, job.args, job.timeout, job.result_ttl) == (
            INGEST,
            ["x"],
            123,
            0,
        )


def test_a_job_is_json_so_that_who_writes_to_redis_runs_no_code_here(
    redis: Redis,
) -> None:
    hints.give("ingest", INGEST)
    (job,) = jobs(redis, "ingest")
    data = redis.hget(job.key, "data")
    assert isinstance(data, bytes)
    assert json.loads(zlib.decompress(data))[0] == INGEST


def test_a_thousand_permits_are_one_hint(redis: Redis) -> None:
    assert hints.give("ingest", INGEST, times=1000)
    assert redis.llen("rq:queue:ingest") == 1000


def test_a_hint_given_again_before_it_is_taken_up_is_one_job(redis: Redis) -> None:
    assert all(hints.give_once("inbox", DRAIN, seconds=60) for _ in range(20))
    assert len(jobs(redis, "inbox")) == 1


def test_what_comes_after_a_job_began_wakes_another(redis: Redis) -> None:
    hints.give_once("inbox", DRAIN, seconds=60)
    hints.taken_up(DRAIN)
    hints.give_once("inbox", DRAIN, seconds=60)
    assert len(jobs(redis, "inbox")) == 2


def test_a_hint_whose_job_was_lost_is_not_held_back_for_ever(redis: Redis) -> None:
    hints.give_once("inbox", DRAIN)
    left = redis.pttl(f"mediahub:wake:{DRAIN}")
    assert 0 < left <= 2000


def test_no_job_outlives_its_use(redis: Redis, settings: Settings) -> None:
    """Those that wait, those that ended well, and those that failed."""
    settings.RQ_JOBS = {"ingest": ["builtins.print", "no.such.job"]}
    assert hints.give("ingest", "builtins.print")
    assert hints.give("ingest", "no.such.job")
    (waits, fails) = jobs(redis, "ingest")
    assert 0 < redis.ttl(waits.key) <= hints.JOB_KEPT_SECONDS
    SimpleWorker(["ingest"], connection=redis, serializer=JSONSerializer).work(
        burst=True
    )
    for_ever = {key for key in redis.scan_iter() if redis.ttl(key) < 0}
    assert not redis.exists(waits.key)
    assert 0 < redis.ttl(fails.key) <= hints.JOB_KEPT_SECONDS
    assert for_ever == {b"rq:queues", b"rq:failed:ingest"}


def test_wake_ups_that_no_worker_takes_do_not_pile_up(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "MOST_WAITING", 3)
    for _ in range(5):
        assert hints.give_once("inbox", DRAIN)
        hints.taken_up(DRAIN)
    assert len(jobs(redis, "inbox")) == 3


def test_hints_of_one_job_do_not_hold_back_those_of_another(redis: Redis) -> None:
    hints.give_once("inbox", DRAIN)
    hints.give_once("inbox", INGEST)
    assert [job.func_name for job in jobs(redis, "inbox")] == [DRAIN, INGEST]
