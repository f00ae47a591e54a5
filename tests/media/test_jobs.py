from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from media_app import installation, jobs, rate
from media_app.clock import database_now
from media_app.decoding import decoder
from media_app.decoding.decoder import Limits
from media_app.models.media import Media
from media_app.previews import preview_key
from media_app.previews.waiting import CUT_OFF, MAX_ATTEMPTS, claim, request_again
from media_app.storage import media_storage
from media_app.timing import (
    FETCH_DEADLINE_SECONDS,
    FETCH_LEASE,
    LEASE_RENEWAL_INTERVAL,
    PREVIEW_JOB_SECONDS,
    PREVIEW_LEASE,
    PREVIEW_RETRY_PAUSE,
)
from simulator.content import Kind, content
from tests.media.bombs import many_scans
from tests.media.files import Announced, Sent, Stored

# Jobs drop the connections of the job before them, and a test's transaction with it.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def waiting(redis: Redis, queue: str) -> list[Job]:
    found: list[Job] = Queue(queue, connection=redis, serializer=JSONSerializer).jobs
    return found


def work(redis: Redis, queue: str) -> None:
    """Do all that waits in a queue, as a worker does."""
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True)


def test_each_due_file_gets_one_job(announced: Announced, redis: Redis) -> None:
    for _ in range(3):
        announced()
    assert (jobs.enqueue_fetches(), jobs.enqueue_fetches()) == (3, 0)
    assert [job.func_name for job in waiting(redis, "ingest")] == [
        "media_app.jobs.ingest"
    ] * 3


def test_a_backlog_moves_up_as_jobs_are_done(
    announced: Announced, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_QUEUED_FETCH_JOBS", 2)
    for _ in range(3):
        announced()
    assert (jobs.enqueue_fetches(), jobs.enqueue_fetches()) == (2, 0)
    queue = Queue("ingest", connection=redis, serializer=JSONSerializer)
    queue.empty()  # type: ignore[no-untyped-call]
    assert jobs.enqueue_fetches() == 1


def test_a_more_urgent_file_takes_no_job_away(sent: Sent, redis: Redis) -> None:
    queued = sent()
    jobs.enqueue_fetches()
    (job,) = waiting(redis, "ingest")
    urgent = sent()
    Media.objects.filter(id=urgent.id).update(give_up_at=Now())
    queue = Queue("ingest", connection=redis, serializer=JSONSerializer)
    queue.empty()  # type: ignore[no-untyped-call]
    job.perform()
    assert Media.objects.get(id=urgent.id).is_stored
    assert not Media.objects.get(id=queued.id).is_stored
    assert len(waiting(redis, "ingest")) == 1


def test_what_could_not_be_queued_is_queued_by_the_next_sweep(
    announced: Announced, redis: Redis, request: pytest.FixtureRequest
) -> None:
    announced()
    lead = request.getfixturevalue("redis_at")
    lead(1)
    assert jobs.enqueue_fetches() == 0
    assert Media.objects.get().queued_until is None
    lead(request.getfixturevalue("redis_port"))
    assert jobs.enqueue_fetches() == 1


def test_a_full_redis_touches_no_row(
    announced: Announced,
    redis: Redis,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    announced()
    redis.config_set("maxmemory", 1)
    try:
        with django_assert_num_queries(0):
            assert jobs.enqueue_fetches() == 0
    finally:
        redis.config_set("maxmemory", 0)
    assert jobs.enqueue_fetches() == 1


def test_the_timeouts_stand_behind_each_other(
    announced: Announced, redis: Redis
) -> None:
    announced()
    jobs.enqueue_fetches()
    (job,) = waiting(redis, "ingest")
    assert job.timeout is not None
    assert (
        job.timeout
        > FETCH_DEADLINE_SECONDS
        > FETCH_LEASE.total_seconds()
        > 2 * LEASE_RENEWAL_INTERVAL.total_seconds()
    )


def test_a_decoder_ends_before_its_job_and_the_job_before_its_lease() -> None:
    assert (
        PREVIEW_LEASE.total_seconds()
        > PREVIEW_JOB_SECONDS
        > Limits().seconds
        > Limits().cpu_seconds
    )


def test_stored_files_get_previews(sent: Sent, redis: Redis) -> None:
    sent()
    sent("twilio", Kind.VOICE)
    jobs.enqueue_fetches()
    for queue in ("ingest", "previews"):
        for job in waiting(redis, queue):
            job.perform()
    assert set(Media.objects.values_list("state", flat=True)) == {Media.State.STORED}
    photo = Media.objects.get(source="meta")
    previews = {found.key for found in media_storage().list("previews/")}
    assert previews == {preview_key(photo, size) for size in (320, 1280)}


def test_a_job_too_many_does_nothing(sent: Sent, redis: Redis) -> None:
    sent()
    jobs.ingest()
    jobs.ingest()
    assert Media.objects.get().attempts == 1


def test_a_file_is_fetched_without_redis(sent: Sent) -> None:
    sent()
    jobs.ingest()
    assert Media.objects.get().is_stored


AWAITS_PREVIEWS: dict[str, Any] = {
    "state": Media.State.STORED,
    "content_type": "image/jpeg",
    "size": 3,
    "preview_due_at": Now(),
}


@pytest.fixture
def picture(announced: Announced) -> Media:
    """A file that is stored as a photo, without an object in the bucket, and waits for previews."""
    media = announced()
    Media.objects.update(**AWAITS_PREVIEWS)
    return media


@pytest.mark.parametrize(
    "state", [Media.State.DELETED, Media.State.MISSING, Media.State.PENDING]
)
def test_a_preview_of_what_is_not_there_is_nothing(
    picture: Media, state: Media.State
) -> None:
    Media.objects.update(state=state)
    assert jobs.enqueue_previews() == 0
    jobs.make_preview()
    assert Media.objects.get().preview_attempts == 0


def test_previews_are_found_in_the_database_when_redis_forgot_them(
    sent: Sent, redis: Redis
) -> None:
    sent()
    jobs.ingest()
    redis.flushall()
    assert jobs.enqueue_previews() == 1
    waiting(redis, "previews")[0].perform()
    assert len(list(media_storage().list("previews/"))) == 2


def test_a_heap_of_previews_waits_in_the_database(
    announced: Announced, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_QUEUED_PREVIEW_JOBS", 2)
    for _ in range(3):
        announced()
    Media.objects.update(**AWAITS_PREVIEWS)
    assert (jobs.enqueue_previews(), jobs.enqueue_previews()) == (2, 0)


def test_previews_that_cannot_be_made_are_given_up_with_the_reason(
    picture: Media,
) -> None:
    installation.write_marker(media_storage())
    jobs.make_preview()
    picture.refresh_from_db()
    assert picture.preview_error == "the bucket has no original"
    assert picture.preview_due_at is None and jobs.enqueue_previews() == 0
    assert picture.state == Media.State.PENDING, "the original is fetched again"


def test_a_bomb_is_given_up_at_once_and_its_worker_goes_on(stored: Stored) -> None:
    bomb, photo = stored(many_scans(1000, 2000)), stored(content(Kind.PHOTO, 1).body)
    for _ in range(3):
        jobs.make_preview()
    bomb.refresh_from_db()
    assert (bomb.preview_due_at, bomb.preview_error) == (
        None,
        "it has more than 64 scans",
    )
    assert {found.key for found in media_storage().list("previews/")} == {
        preview_key(photo, size) for size in (320, 1280)
    }


def test_what_is_cut_off_waits_behind_all_others(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "Limits", lambda: Limits(seconds=0))
    slow, other = (stored(content(Kind.PHOTO, seed).body) for seed in (1, 2))
    jobs.make_preview()
    slow.refresh_from_db()
    assert (slow.preview_attempts, slow.preview_error) == (1, "")
    assert slow.preview_due_at is not None
    assert slow.preview_due_at > database_now() + PREVIEW_RETRY_PAUSE / 2
    Media.objects.filter(id=slow.id).update(preview_due_at=slow.stored_at)
    assert [claim(), claim()] == [other, slow]


def test_staff_ask_again_for_what_was_given_up(picture: Media) -> None:
    Media.objects.update(
        preview_due_at=None, preview_error=CUT_OFF, preview_attempts=MAX_ATTEMPTS
    )
    assert (request_again(Media.objects.all()), request_again(Media.objects.all())) == (
        1,
        0,
    )
    assert claim() == picture


def test_previews_that_kill_their_worker_are_given_up(picture: Media) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert claim() == picture
        assert claim() is None
        Media.objects.update(preview_due_at=Now())
    assert claim() is None
    picture.refresh_from_db()
    assert (picture.preview_due_at, picture.preview_error) == (None, CUT_OFF)


def test_previews_wait_for_a_storage_that_is_down(
    picture: Media, media_root: Path
) -> None:
    media_storage()
    media_root.rmdir()
    jobs.make_preview()
    picture.refresh_from_db()
    assert (picture.preview_attempts, picture.preview_error) == (0, "")
    assert picture.preview_due_at is not None
    assert jobs.enqueue_previews() == 0


def test_redis_is_empty_again_after_an_album(sent: Sent, redis: Redis) -> None:
    for _ in range(4):
        sent()
    jobs.enqueue_fetches()
    for queue in ("ingest", "previews"):
        work(redis, queue)
    assert len(list(media_storage().list("previews/"))) == 8
    assert list(redis.scan_iter("rq:job:*")) == []
    assert {key for key in redis.scan_iter() if redis.ttl(key) < 0} == {b"rq:queues"}


def test_a_worker_begins_with_so_many_files_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate, "FILES_PER_SECOND", 50)
    began = time.monotonic()
    for _ in range(6):
        jobs.ingest()
    assert time.monotonic() - began >= 4 / 50
