"""Two jobs on one file at once, and jobs that go on when others have finished the file."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from django.db import connection

from media_app import spool
from media_app.ingest import flow, ingest_next
from media_app.models import Lease, Media
from media_app.models.media import MediaQuerySet
from media_app.storage import media_storage
from messages_app import inbox
from simulator.content import Kind, content
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, objects, photo, the_lost_are_noticed
from tests.media.bucket import Bucket
from tests.media.files import claimed
from tests.media.racing import race
from tests.messages.mail import ADA, arrive

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_databases,
    pytest.mark.usefixtures("provider"),
]

State = Media.State
WAIT_SECONDS = 180
BEFORE_THE_PUT = ["ingest_after_claim", "ingest_mid_download", "ingest_before_put"]
ANYWHERE = [*BEFORE_THE_PUT, "ingest_after_put"]
# There is an object, or there is none: what else the job has done makes no difference to others.
EITHER = ["ingest_before_put", "ingest_after_put"]
PAIRS = [
    *product(["ingest_before_put"], ANYWHERE),
    # The second one adopts what the first one has put.
    *product(["ingest_after_put"], ["ingest_after_claim", "ingest_after_put"]),
]


@pytest.fixture(autouse=True)
def stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stand still at failpoints instead of dying there."""
    for module in (flow, spool):
        monkeypatch.setattr(module, "failpoint", pass_by)


def pass_by(point: str) -> None:
    job = threading.current_thread()
    if isinstance(job, Job):
        job.pass_by(point)


@pytest.fixture(autouse=True)
def bucket(media_root: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket, which counts its puts."""
    bucket = Bucket(media_root)
    monkeypatch.setattr(flow, "media_storage", lambda: bucket)
    return bucket


class Job(threading.Thread):
    """A worker that takes the most urgent file as far as the failpoint, and goes on when it is let
    go.
    """

    def __init__(self, point: str) -> None:
        super().__init__(name=f"job at {point}", daemon=True)
        self._point = point
        self._stands, self._go_on = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self.start()
        assert self._stands.wait(WAIT_SECONDS), f"the job did not come to {point}"

    def run(self) -> None:
        try:
            ingest_next()
        except BaseException as error:
            self._failure = error
        finally:
            connection.close()

    def pass_by(self, point: str) -> None:
        if point == self._point and not self._stands.is_set():
            self._stands.set()
            self._go_on.wait(WAIT_SECONDS)

    def finish(self) -> None:
        """Let it go on to its end. Raises what it raised."""
        self._go_on.set()
        self.join(WAIT_SECONDS)
        assert not self.is_alive()
        if self._failure:
            raise self._failure


def sent(*numbers: int) -> None:
    """Photos that the provider really has wait to be fetched."""
    arrive(album(*map(photo, numbers)))
    inbox.drain()


def sent_again() -> None:
    """The same photo comes with a new message."""
    arrive(album(replace(photo(1), message_id="wamid.forwarded")))
    inbox.drain()


def taken_over() -> Lease:
    """Another worker has the file, because the first one's lease ran out."""
    the_lost_are_noticed()
    return claimed()


def assert_stored(bucket: Bucket, *, puts: int = 1) -> None:
    row = Media.objects.get()
    assert (row.state, row.last_error) == (State.STORED, "")
    assert (row.lease_token, row.lease_until) == (None, None)
    digests = {key: digest for key, (digest, *_) in objects().items()}
    assert digests == {row.key: content(Kind.PHOTO, 1).sha256}
    assert bucket.puts == [row.key] * puts


# --- two at once -------------------------------------------------------------------------


@pytest.mark.parametrize(("first_stands_at", "second_stands_at"), PAIRS)
@pytest.mark.parametrize("first_ends_first", [True, False])
def test_two_jobs_on_one_file_end_in_one_object_whoever_ends_first(
    first_stands_at: str, second_stands_at: str, first_ends_first: bool, bucket: Bucket
) -> None:
    sent(1)
    first = Job(first_stands_at)
    the_lost_are_noticed()
    second = Job(second_stands_at)
    for job in (first, second) if first_ends_first else (second, first):
        job.finish()
    assert_stored(bucket)


# --- too late ------------------------------------------------------------------------------


def stored() -> None:
    the_lost_are_noticed()
    ingest_next()


def retrying() -> None:
    Media.objects.mark_retrying(
        taken_over(), "The provider answered 503.", timedelta(hours=1)
    )


def expired() -> None:
    Media.objects.mark_expired(taken_over(), "The provider does not have the file.")


def rejected() -> None:
    reason = "The file is not what was announced."
    Media.objects.mark_rejected(taken_over(), reason, Media.Failure.WRONG_BYTES)


def revived() -> None:
    expired()
    sent_again()


def fetched_by_another() -> None:
    taken_over()


def deleted() -> None:
    """As a RESET does: the row first, then the objects."""
    Media.objects.update(state=State.DELETED, lease_token=None, lease_until=None)
    media_storage().delete(list(objects()))


def deleted_and_sent_again() -> None:
    deleted()
    sent_again()


Meanwhile = Callable[[], None]
MEANWHILE: list[Meanwhile] = [stored, retrying, expired, rejected, revived]
MEANWHILE.append(fetched_by_another)


def named(case: object) -> str | None:
    return getattr(case, "__name__", None)


@pytest.mark.parametrize("point", EITHER)
@pytest.mark.parametrize("meanwhile", MEANWHILE, ids=named)
def test_success_that_comes_late_is_success(
    point: str, meanwhile: Meanwhile, bucket: Bucket
) -> None:
    sent(1)
    job = Job(point)
    meanwhile()
    job.finish()
    assert_stored(bucket)


@pytest.mark.parametrize(
    ("meanwhile", "drill"),
    [
        *product([*MEANWHILE, deleted, deleted_and_sent_again], ["down"]),
        *product([stored, deleted], ["unauthorised"]),
    ],
    ids=named,
)
def test_failure_that_comes_late_changes_nothing(
    meanwhile: Meanwhile,
    drill: str,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent(1)
    with monkeypatch.context() as patch:
        patch.setattr(provider, drill, True)
        job = Job("ingest_before_fail")
    meanwhile()
    before = Media.objects.values().get(), objects()
    job.finish()
    assert (Media.objects.values().get(), objects()) == before


@pytest.mark.parametrize("point", EITHER)
def test_a_file_that_was_deleted_while_it_was_fetched_leaves_no_object(
    point: str,
) -> None:
    sent(1)
    job = Job(point)
    deleted()
    job.finish()
    assert (Media.objects.get().state, objects()) == (State.DELETED, {})


@pytest.mark.parametrize("point", EITHER)
def test_a_file_that_was_deleted_and_sent_again_while_it_was_fetched_is_kept(
    point: str, bucket: Bucket
) -> None:
    sent(1)
    job = Job(point)
    deleted_and_sent_again()
    job.finish()
    if point == "ingest_after_put":
        assert Media.objects.get().state == State.PENDING, "its object is gone"
    ingest_next()
    assert_stored(bucket, puts=2 if point == "ingest_after_put" else 1)


def test_the_object_of_a_deleted_file_that_is_back_already_is_not_removed(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_stored = MediaQuerySet.mark_stored

    def sent_again_after_it(self: MediaQuerySet, lease: Lease, **found: Any) -> bool:
        monkeypatch.undo()
        is_stored = mark_stored(self, lease, **found)
        Media.objects.all().revive()
        return is_stored

    sent(1)
    job = Job("ingest_after_put")
    Media.objects.update(state=State.DELETED)
    monkeypatch.setattr(MediaQuerySet, "mark_stored", sent_again_after_it)
    job.finish()
    the_lost_are_noticed()
    ingest_next()
    assert_stored(bucket)


def test_a_file_that_is_just_being_written_outlives_the_deletion_of_its_neighbours(
    bucket: Bucket,
) -> None:
    class Interrupted(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            bucket.delete([f"{ADA}/neighbour.jpeg"])
            return super().read(size)

    body, said = Interrupted(b"whole"), {"sha256": "0"}
    name = f"{ADA}/file.jpeg"
    bucket.put(name, body, size=5, content_type="image/jpeg", metadata=said)
    assert bucket.read(f"{ADA}/file.jpeg") == b"whole"
    head = bucket.head(f"{ADA}/file.jpeg")
    assert head is not None and head.metadata == {"sha256": "0"}


# --- many at once -----------------------------------------------------------------------------


def test_two_sweepers_and_four_workers_store_fifty_files_once(bucket: Bucket) -> None:
    numbers = range(1, 51)
    sent(*numbers)
    jobs: SimpleQueue[bool] = SimpleQueue()

    def sweep() -> int:
        # Each file twice: a second job for a file must be harmless.
        for _ in 2 * Media.objects.claim_unqueued(100):
            jobs.put(True)
        for _ in range(2):
            jobs.put(False)
        return 0

    def work() -> int:
        return sum(ingest_next() is not None for _ in iter(jobs.get, False))

    fetched = race([sweep, sweep, work, work, work, work])
    assert sum(fetched) == len(numbers)
    assert set(Media.objects.values_list("state", "attempts")) == {(State.STORED, 1)}
    digests = Counter(digest for digest, *_ in objects().values())
    assert digests == Counter(content(Kind.PHOTO, number).sha256 for number in numbers)
    assert sorted(bucket.puts) == sorted(objects())
