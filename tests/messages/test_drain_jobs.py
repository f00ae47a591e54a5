"""Drain jobs: few, never missing where one is needed, and nothing is lost without them."""

from __future__ import annotations

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from media_app.models import Media
from messages_app import inbox, jobs
from messages_app.models import Delivery
from tests.messages.mail import album, arrive, photo
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


def queue(redis: Redis, name: str = "inbox") -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


def work(redis: Redis) -> None:
    """Do all jobs of the inbox, as a worker does."""
    worker = SimpleWorker([queue(redis)], connection=redis, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="WARNING")
    assert queue(redis).failed_job_registry.count == 0


def test_many_webhooks_are_few_jobs(redis: Redis) -> None:
    arrive(*(album(photo(number)) for number in range(30)))
    until(lambda: len(queue(redis)))
    # One in two seconds.
    assert 1 <= len(queue(redis)) <= 15


def test_a_job_reads_all_and_queues_the_files(redis: Redis) -> None:
    arrive(*(album(photo(number)) for number in range(5)))
    until(lambda: len(queue(redis)))
    work(redis)
    assert not Delivery.objects.due().exists()
    assert (
        len(queue(redis, "ingest"))
        == Media.objects.filter(state="pending").count()
        == 5
    )


def test_a_job_whose_time_is_over_leaves_the_rest_to_another(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(*(album(photo(number)) for number in range(2)))
    until(lambda: len(queue(redis)))
    queue(redis).empty()  # type: ignore[no-untyped-call]
    monkeypatch.setattr(inbox, "BATCH", 1)
    monkeypatch.setattr(inbox.drain, "__defaults__", (0.0,))
    jobs.drain()
    assert Delivery.objects.due().count() == 1
    assert {job.timeout for job in queue(redis).jobs} == {jobs.DRAIN_TIMEOUT_SECONDS}


def test_what_comes_while_a_job_reads_has_a_job_of_its_own(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = inbox.drain

    def drain_and_look_away() -> int:
        read = drain()
        arrive(album(photo(2)))
        return read

    arrive(album(photo(1)))
    until(lambda: len(queue(redis)) == 1)
    monkeypatch.setattr(inbox, "drain", drain_and_look_away)
    jobs.drain()
    until(lambda: len(queue(redis)) == 2)


def test_a_job_lost_with_redis_is_enqueued_by_the_next_webhook(
    redis: Redis,
) -> None:
    arrive(album(photo(1)))
    until(lambda: len(queue(redis)) == 1)
    redis.flushall()
    arrive(album(photo(2)))
    until(lambda: len(queue(redis)) == 1)
    work(redis)
    assert Media.objects.count() == 2
    assert not redis.keys("mediahub:wake:*")


def test_after_a_failure_the_next_job_is_enqueued(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail() -> bool:
        asked.append(1)
        raise RuntimeError

    monkeypatch.setattr(jobs, "enqueue_drain", fail)
    arrive(album(photo(1)))
    until(lambda: len(asked) == 1)
    arrive(album(photo(2)))
    until(lambda: len(asked) == 2)
