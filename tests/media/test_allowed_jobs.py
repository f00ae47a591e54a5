"""Whoever can write to Redis can start the hub's own jobs, and runs no code of theirs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Queue
from rq.job import Callback
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from media_app import queues
from media_app.workers import _worker
from mediahub.settings import RQ_JOBS, RQ_QUEUES

ALLOWED = "builtins.dict"
MARK = f"{__name__}.mark"
# Of the standard library, and imported by nobody.
STRANGE = "tabnanny"

ran: list[object] = []


def mark(*args: object, **more: object) -> None:
    ran.append(args)


@pytest.fixture(autouse=True)
def one_allowed_job(settings: Settings) -> None:
    settings.RQ_JOBS = {"ingest": [ALLOWED]}
    ran.clear()


def run(redis: Redis, function: str, **job: Any) -> None:
    """Put a job into Redis as anybody could, and let one of our workers take it."""
    Queue("ingest", connection=redis, serializer=JSONSerializer).enqueue(
        function, **job
    )
    _worker("ingest").work(burst=True)


@pytest.mark.parametrize(
    "function",
    [MARK, f"{STRANGE}.check", "os.system", "", "media_app.jobs.os.system", "dict"],
)
def test_another_function_is_neither_run_nor_imported(
    redis: Redis, function: str
) -> None:
    run(redis, function, args=["exit 3"])
    assert not ran
    assert STRANGE not in sys.modules
    assert redis.zcard("rq:failed:ingest") == 1


def test_a_method_of_what_the_job_carries_is_not_run(redis: Redis) -> None:
    queue = Queue("ingest", connection=redis, serializer=JSONSerializer)
    job = queue.create_job("upper")
    job.instance = "a text"
    queue.enqueue_job(job)
    _worker("ingest").work(burst=True)
    assert redis.zcard("rq:failed:ingest") == 1


@pytest.mark.parametrize("function", [ALLOWED, "no.such.job"])
def test_callbacks_are_not_run(redis: Redis, function: str) -> None:
    run(
        redis,
        function,
        on_success=Callback(MARK),
        on_failure=Callback(MARK),
        on_stopped=Callback(MARK),
    )
    assert not ran


def test_a_job_calls_no_address(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rq.webhook.urlopen", mark)
    for function in (ALLOWED, "no.such.job"):
        run(
            redis,
            function,
            webhooks=[
                Webhook("http://169.254.169.254/", status)
                for status in ("finished", "failed")
            ],
        )
    assert not ran


def test_an_abandoned_job_runs_no_callback(redis: Redis) -> None:
    queue = Queue("ingest", connection=redis, serializer=JSONSerializer)
    job = queue.create_job(ALLOWED, on_failure=Callback(MARK))
    job.save()
    redis.zadd("rq:wip:ingest", {f"{job.id}:an-execution": 1})
    _worker("ingest").clean_registries()  # type: ignore[no-untyped-call]
    assert redis.zcard("rq:failed:ingest") == 1
    assert not ran


def test_every_queue_has_jobs_and_all_of_them_exist() -> None:
    assert RQ_JOBS.keys() == RQ_QUEUES.keys()
    for names in RQ_JOBS.values():
        for name in names:
            module, _, function = name.rpartition(".")
            assert callable(getattr(import_module(module), function))


def test_an_allowed_job_is_run(redis: Redis) -> None:
    run(redis, ALLOWED)
    assert not redis.zcard("rq:failed:ingest")
    assert redis.zcard("rq:finished:ingest") == 1


def test_a_job_that_no_worker_would_run_is_not_queued(redis: Redis) -> None:
    with pytest.raises(ValueError, match=r"builtins\.print is not in RQ_JOBS"):
        queues.enqueue("ingest", "builtins.print")
