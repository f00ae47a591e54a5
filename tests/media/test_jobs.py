from __future__ import annotations

import time

import pytest
from django.db.models.functions import Now
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from media_app import jobs
from media_app.ingest import DEADLINE_SECONDS
from media_app.lease import RENEW_EVERY
from media_app.models.media import LEASE, Media
from media_app.previews import preview_key
from media_app.storage import media_storage
from mediahub.simulator.content import Kind
from tests.media.files import Announced, Sent

# Jobs drop the connections of the job before them, and a test's transaction with it.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def waiting(redis: Redis, queue: str) -> list[Job]:
    found: list[Job] = Queue(queue, connection=redis, serializer=JSONSerializer).jobs
    return found


def test_each_due_file_gets_one_permit(announced: Announced, redis: Redis) -> None:
    for _ in range(3):
        announced()
    assert (jobs.queue_due(), jobs.queue_due()) == (3, 0)
    assert [job.func_name for job in waiting(redis, "ingest")] == ["media_app.jobs.ingest"] * 3


def test_a_backlog_moves_up_as_permits_are_used(
    announced: Announced, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PERMITS", 2)
    for _ in range(3):
        announced()
    assert (jobs.queue_due(), jobs.queue_due()) == (2, 0)
    Queue("ingest", connection=redis, serializer=JSONSerializer).empty()  # type: ignore[no-untyped-call]
    assert jobs.queue_due() == 1


def test_a_permit_used_for_a_more_urgent_file_leaves_none_without(sent: Sent, redis: Redis) -> None:
    queued = sent()
    jobs.queue_due()
    (permit,) = waiting(redis, "ingest")
    urgent = sent()
    Media.objects.filter(id=urgent.id).update(give_up_at=Now())
    Queue("ingest", connection=redis, serializer=JSONSerializer).empty()  # type: ignore[no-untyped-call]
    permit.perform()
    assert Media.objects.get(id=urgent.id).is_stored
    assert not Media.objects.get(id=queued.id).is_stored
    assert len(waiting(redis, "ingest")) == 1


def test_what_could_not_be_queued_is_queued_by_the_next_sweep(
    announced: Announced, redis: Redis, request: pytest.FixtureRequest
) -> None:
    announced()
    lead = request.getfixturevalue("redis_at")
    lead(1)
    assert jobs.queue_due() == 0
    assert Media.objects.get().queued_until is None
    lead(request.getfixturevalue("redis_port"))
    assert jobs.queue_due() == 1


def test_the_timeouts_stand_behind_each_other(announced: Announced, redis: Redis) -> None:
    announced()
    jobs.queue_due()
    (permit,) = waiting(redis, "ingest")
    assert permit.timeout is not None
    assert permit.timeout > DEADLINE_SECONDS > LEASE.total_seconds() > 2 * RENEW_EVERY.total_seconds()


def test_permits_fetch_files_and_stored_files_get_previews(sent: Sent, redis: Redis) -> None:
    sent()
    sent("twilio", Kind.VOICE)
    jobs.queue_due()
    for queue in ("ingest", "previews"):
        for job in waiting(redis, queue):
            job.perform()
    assert set(Media.objects.values_list("state", flat=True)) == {Media.State.STORED}
    photo = Media.objects.get(source="meta")
    previews = {found.key for found in media_storage().list("previews/")}
    assert previews == {preview_key(photo, size) for size in (320, 1280)}


def test_a_permit_too_many_does_nothing(sent: Sent, redis: Redis) -> None:
    sent()
    jobs.ingest()
    jobs.ingest()
    assert Media.objects.get().attempts == 1


def test_a_file_is_fetched_without_redis(sent: Sent) -> None:
    sent()
    jobs.ingest()
    assert Media.objects.get().is_stored


@pytest.mark.parametrize("state", [Media.State.DELETED, Media.State.MISSING, Media.State.PENDING])
def test_a_preview_of_what_is_not_there_is_nothing(announced: Announced, state: Media.State) -> None:
    media = announced()
    Media.objects.update(state=state, content_type="image/jpeg", size=3)
    jobs.make_preview(str(media.id))
    assert list(media_storage().list("")) == []


def test_a_preview_that_cannot_be_made_is_no_failed_job(announced: Announced) -> None:
    media = announced()
    Media.objects.update(state=Media.State.STORED, content_type="image/jpeg", size=3)
    jobs.make_preview(str(media.id))
    jobs.make_preview("3fa9c1d2-e4b7-5000-8000-000000000000")


def test_a_worker_begins_with_so_many_files_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FILES_PER_SECOND", 50)
    began = time.monotonic()
    for _ in range(6):
        jobs.ingest()
    assert time.monotonic() - began >= 4 / 50
