"""Public files have a copy in the public bucket, and no other file has one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from mypy_boto3_s3 import S3Client
from pytest_django.fixtures import Settings
from redis import Redis

from media_app import installation, jobs, public_copies, queues
from media_app.models import Media
from media_app.public_copies import sync
from media_app.publication import next_step, public_address
from media_app.storage import S3Storage, media_storage
from mediahub.storages import describe_storage
from tests.faults.crash import dies_at
from tests.media.bucket import name_buckets
from tests.media.files import Announced, run_out
from tests.media.test_publication import EARLIER, LATER, ROWS, row
from tests.storage.buckets import keys, put

State = Media.State

PHOTO = b"\xff\xd8\xff\xe0 a photo"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def public(s3: S3Client, in_a_bucket: None, settings: Settings) -> S3Storage:
    """The bucket for public copies."""
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = "public", "https://cdn.example"
    s3.create_bucket(Bucket="public")
    return S3Storage(s3, "public")


@pytest.fixture
def photo(announced: Announced, in_a_bucket: None) -> Media:
    """A public photo that has no copy yet."""
    return kept(announced())


def kept(media: Media, body: bytes = PHOTO, content_type: str = "image/jpeg") -> Media:
    record = {"record": "her number"}
    put(media_storage(), media.key, body, content_type=content_type, metadata=record)
    Media.objects.filter(id=media.id).update(
        state=State.STORED, stored_at=Now(), content_type=content_type, is_public=True
    )
    return again(media)


def again(media: Media) -> Media:
    media.refresh_from_db()
    return media


def lease_runs_out() -> None:
    run_out(public_lease_until=timedelta(seconds=1))


def is_clean(media: Media, public: S3Storage) -> bool:
    """Whether there is no copy, and the row knows of none."""
    again(media)
    known = media.public_key, media.public_bucket, media.published_at
    return (keys(public), known) == ([], ("", "", None))


def is_published(media: Media, public: S3Storage) -> bool:
    """Whether there is one copy, at the file's public address."""
    (key,) = keys(public)
    is_there = public_address(again(media)) == f"https://cdn.example/{key}"
    return is_there and media.public_lease_until is None


Step = Callable[[], object]
Meanwhile = Callable[[Step], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Do something between the claim of the next copy and the copy."""

    def arrange(step: Step) -> None:
        copy_from = S3Storage.copy_from

        def step_then_copy(self: S3Storage, *args: Any, **kwargs: Any) -> bool:
            assert not connection.in_atomic_block
            monkeypatch.setattr(S3Storage, "copy_from", copy_from)
            step()
            return copy_from(self, *args, **kwargs)

        monkeypatch.setattr(S3Storage, "copy_from", step_then_copy)

    return arrange


def test_the_query_finds_the_rows_that_the_rule_names(
    announced: Announced, public: S3Storage
) -> None:
    expected: dict[str, set[str]] = {"public": set(), "": set()}
    for words, _ in ROWS:
        media = announced()
        Media.objects.filter(id=media.id).update(**row(words))
        for bucket, found in expected.items():
            if next_step(again(media), bucket):
                found.add(media.key)
    for bucket, found in expected.items():
        assert {media.key for media in public_copies._due(bucket)} == found


# --- copies -----------------------------------------------------------------------------


def test_a_public_file_is_copied_under_a_random_name(
    photo: Media, public: S3Storage
) -> None:
    assert (sync(), sync(), is_published(photo, public)) == (1, 0, True)
    (key,) = keys(public)
    assert key.endswith(".jpeg")
    assert photo.id.hex[:12] not in key.replace("-", "")
    found = public.client.get_object(Bucket="public", Key=key)
    assert (found["Body"].read(), found["Metadata"]) == (PHOTO, {})
    assert (found["ContentType"], found["ContentDisposition"]) == (
        "image/jpeg",
        "inline",
    )
    assert found["CacheControl"] == "public, max-age=300"


def test_a_file_of_a_whole_second_is_copied(photo: Media, public: S3Storage) -> None:
    """As ``Now()`` writes it: on SQLite with ``.000``, and Django compares without."""
    Media.objects.update(stored_at=RawSQL("'2026-01-01 00:00:00.000'", ()))
    assert (sync(), is_published(photo, public)) == (1, True)
    assert Media.objects.mark_missing(photo.id, stored_at=again(photo).stored_at)


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml"])
def test_a_copy_runs_nothing_in_a_browser(
    announced: Announced, public: S3Storage, content_type: str
) -> None:
    page = kept(announced(), b"<script>", content_type)
    sync()
    found = public.client.head_object(Bucket="public", Key=again(page).public_key)
    assert page.public_key.endswith((".html", ".svg"))
    assert found["ContentType"] == "application/octet-stream"
    assert found["ContentDisposition"] == "attachment"


WITHDRAWALS: list[Step] = [
    lambda: Media.objects.all().mark_public(False),
    lambda: Media.objects.all().mark_deleted("asked for"),
    lambda: Media.objects.mark_missing(Media.objects.get().id),
]


@pytest.mark.parametrize("withdraw", WITHDRAWALS)
def test_what_is_no_longer_public_loses_its_copy(
    photo: Media, public: S3Storage, withdraw: Step
) -> None:
    sync()
    withdraw()
    assert public_address(again(photo)) == ""
    assert (sync(), is_clean(photo, public)) == (1, True)


def test_a_deleted_file_that_comes_back_is_private(
    photo: Media, public: S3Storage
) -> None:
    Media.objects.all().mark_deleted("asked for")
    assert Media.objects.all().mark_public(True) == 0
    Media.objects.update(state=State.STORED)
    assert (sync(), is_clean(photo, public)) == (0, True)


@pytest.mark.parametrize("is_withdrawn", [True, False])
def test_a_file_that_is_copied_again_has_another_address(
    photo: Media, public: S3Storage, is_withdrawn: bool
) -> None:
    """It was private for a while, or it was stored again."""
    sync()
    former = again(photo).public_key
    if is_withdrawn:
        Media.objects.all().mark_public(False)
        sync()
        Media.objects.all().mark_public(True)
    else:
        Media.objects.update(published_at=EARLIER)
    assert public_address(again(photo)) == ""
    assert (sync(), is_published(photo, public)) == (1 if is_withdrawn else 2, True)
    assert former not in keys(public)


def test_a_file_that_the_bucket_has_lost_is_fetched_again(
    photo: Media, public: S3Storage
) -> None:
    installation.check(media_storage())
    media_storage().delete([photo.key])
    assert (sync(), again(photo).state) == (1, State.PENDING)
    lease_runs_out()
    assert (sync(), is_clean(photo, public)) == (1, True)


# --- other settings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "url"),
    [("", "https://cdn.example"), ("public", ""), ("media", "https://c.e")],
)
def test_without_a_public_bucket_of_its_own_nothing_is_public(
    photo: Media, public: S3Storage, settings: Settings, bucket: str, url: str
) -> None:
    sync()
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = bucket, url
    assert public_address(again(photo)) == ""
    assert (sync(), is_clean(photo, public), photo.is_public) == (1, True, True)


def test_copies_move_when_another_bucket_is_named(
    photo: Media, public: S3Storage, settings: Settings
) -> None:
    sync()
    public.client.create_bucket(Bucket="another")
    settings.R2_PUBLIC_BUCKET = "another"
    assert (sync(), keys(public)) == (2, [])
    assert is_published(photo, S3Storage(public.client, "another"))


def test_copies_that_a_folder_cannot_remove_are_told_of(
    photo: Media, public: S3Storage, settings: Settings, tmp_path: Path
) -> None:
    sync()
    media = describe_storage("local", folder=str(tmp_path / "media"))
    settings.STORAGES = {**settings.STORAGES, "media": media}
    assert public_address(again(photo)) == ""
    assert sync() == 0
    assert "removed by hand" in again(photo).public_error


# --- at the same time -------------------------------------------------------------------


@pytest.mark.parametrize("withdraw", WITHDRAWALS)
def test_a_file_that_is_withdrawn_while_it_is_copied_leaves_no_copy(
    photo: Media, public: S3Storage, meanwhile: Meanwhile, withdraw: Step
) -> None:
    meanwhile(withdraw)
    assert (sync(), is_clean(photo, public)) == (1, True)


def test_a_file_that_is_stored_again_while_it_is_copied_is_copied_again(
    photo: Media, public: S3Storage, meanwhile: Meanwhile
) -> None:
    Media.objects.update(stored_at=EARLIER)
    meanwhile(lambda: Media.objects.update(stored_at=LATER))
    assert (sync(), is_published(photo, public)) == (2, True)


def test_a_removal_waits_for_the_copy_that_is_being_made(
    photo: Media, public: S3Storage, meanwhile: Meanwhile
) -> None:
    counts: list[int] = []

    def step() -> None:
        Media.objects.all().mark_public(False)
        counts.append(sync())

    meanwhile(step)
    assert (sync(), counts, is_clean(photo, public)) == (1, [0], True)


def test_after_its_lease_a_worker_removes_its_own_copy_alone(
    photo: Media, public: S3Storage, meanwhile: Meanwhile
) -> None:
    counts: list[int] = []

    def step() -> None:
        lease_runs_out()
        counts.append(sync())

    meanwhile(step)
    assert (sync(), counts, is_published(photo, public)) == (1, [2], True)


COPYING = ["public_copy_after_claim", "public_copy_after_copy"]
REMOVING = ["public_copy_after_claim", "public_copy_after_remove"]


@pytest.mark.parametrize("point", COPYING)
@pytest.mark.parametrize("is_public", [True, False])
def test_what_a_killed_worker_has_copied_is_found(
    photo: Media, public: S3Storage, point: str, is_public: bool
) -> None:
    dies_at(point, sync)
    Media.objects.all().mark_public(is_public)
    assert (public_address(again(photo)), sync()) == ("", 0)
    lease_runs_out()
    sync()
    assert is_published(photo, public) if is_public else is_clean(photo, public)


def test_a_worker_that_is_killed_while_it_removes_a_copy_leaves_it_to_the_next(
    photo: Media, public: S3Storage
) -> None:
    sync()
    Media.objects.all().mark_public(False)
    for point in REMOVING:
        dies_at(point, sync)
        lease_runs_out()
    assert (sync(), is_clean(photo, public)) == (1, True)


# --- a bucket that fails ----------------------------------------------------------------


def test_a_copy_is_made_when_the_public_bucket_is_back(
    announced: Announced,
    photo: Media,
    public: S3Storage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept(announced())
    public.client.delete_bucket(Bucket="public")
    assert sync() == 0
    errors = Media.objects.exclude(public_error="").values_list(
        "public_error", flat=True
    )
    assert [*errors] == ["the bucket, copy: NoSuchBucket (404)"]
    assert "no public copy was made or removed" in caplog.messages
    public.client.create_bucket(Bucket="public")
    assert sync() == 1
    lease_runs_out()
    sync()
    addresses = {public_address(media) for media in Media.objects.all()}
    assert addresses == {f"https://cdn.example/{key}" for key in keys(public)}
    assert (len(addresses), [*errors.all()]) == (2, [])


def test_a_copy_that_could_not_be_removed_is_removed_later(
    photo: Media, public: S3Storage, settings: Settings
) -> None:
    assert (sync(), is_published(photo, public)) == (1, True)
    Media.objects.all().mark_deleted("asked for")
    storages = settings.STORAGES
    name_buckets(settings)
    assert sync() == 0
    assert again(photo).public_error == "the bucket, delete: EndpointConnectionError"
    settings.STORAGES = storages
    assert (sync(), len(keys(public))) == (0, 1)
    lease_runs_out()
    assert (sync(), is_clean(photo, public), photo.public_error) == (1, True, "")


# --- jobs -------------------------------------------------------------------------------


def test_a_job_that_did_not_get_through_asks_for_another(
    announced: Announced,
    photo: Media,
    public: S3Storage,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept(announced())
    monkeypatch.setattr(public_copies, "FILES_PER_JOB", 1)
    jobs.sync_public_copies()
    assert (len(keys(public)), queues.waiting("ingest")) == (1, 1)


def test_the_sweeper_asks_for_a_job(
    photo: Media, public: S3Storage, redis: Redis
) -> None:
    call_command("sweep")
    assert queues.waiting("ingest") == 1
    jobs.sync_public_copies()
    redis.flushall()
    call_command("sweep")
    assert queues.waiting("ingest") == 0
    assert is_published(photo, public)


def test_the_copy_of_an_erased_file_is_removed_at_once(
    photo: Media, public: S3Storage
) -> None:
    sync()
    assert is_published(photo, public)
    assert public_copies.remove(again(photo))
    assert is_clean(photo, public)
    assert public_copies.remove(again(photo)), "there is none any more"


def test_a_claimed_copy_is_left_to_its_worker(photo: Media, public: S3Storage) -> None:
    sync()
    Media.objects.update(public_lease_until=Now() + timedelta(minutes=1))
    assert not public_copies.remove(again(photo))
    assert len(keys(public)) == 1
