from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from django.db import IntegrityError
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.identity import parse_key
from media_app.ingest import ingest_next
from media_app.models import AccountPause, Media
from media_app.record import decode
from media_app.retry import MIN_ATTEMPTS
from simulator.content import Kind, content
from simulator.provider import SimulatedProvider
from tests.media.bucket import Bucket
from tests.media.files import OWNER, PHOTO, Announced, Sent, run_out
from tests.storage.buckets import put

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
OTHER_NAME = "1600000000-0-{}.jpeg"


def run_again() -> Media:
    """The next attempt, as if its time had come."""
    AccountPause.objects.update(until=Now())
    Media.objects.update(next_attempt_at=Now(), lease_until=None)
    ingest_next()
    return Media.objects.get()


# --- what the provider has ----------------------------------------------------------


@pytest.mark.parametrize("source", ["meta", "twilio"])
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_file_is_fetched_and_kept_as_it_is(
    sent: Sent, bucket: Bucket, source: str, kind: Kind
) -> None:
    media = sent(source, kind)
    file = content(kind, 1)
    result = ingest_next()
    assert result is not None and result.is_stored
    row = Media.objects.get()
    assert (row.state, row.key) == (State.STORED, media.key)
    assert (row.sha256, row.size) == (file.sha256, file.size)
    assert (row.content_type, row.type_differs) == (file.content_type, False)
    assert bucket.read(row.key) == file.body
    assert bucket.keys() == [row.key]


def test_an_object_carries_all_that_its_row_is_made_of(
    sent: Sent, bucket: Bucket, settings: Settings
) -> None:
    settings.MEDIA_METADATA_KEYS = []
    sent(filename="Küche.jpg", time_assumed=True, position=3)
    ingest_next()
    row = Media.objects.get()
    stored = bucket.head(row.key)
    assert stored is not None and stored.metadata is not None
    assert stored.content_type == "image/jpeg"
    assert stored.metadata["media-id"] == str(row.id)
    assert stored.metadata["sha256"] == row.sha256
    for name, value in asdict(decode(stored.metadata, keys=[])).items():
        if name in {"occurred_at", "announced_at"}:
            value = datetime.fromtimestamp(value, UTC)
        assert getattr(row, name) == value


def test_a_right_file_of_another_type_is_kept_as_what_it_is(sent: Sent) -> None:
    sent(content_type="image/png")
    ingest_next()
    row = Media.objects.get()
    assert row.is_stored and row.key.endswith(".png")
    assert (row.content_type, row.type_differs) == ("image/jpeg", True)


def test_a_type_that_is_no_type_does_not_cost_the_file(sent: Sent) -> None:
    sent(kind=Kind.DOCUMENT, content_type="документ\r\nX-Evil: 1")
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.content_type) == (State.STORED, "application/pdf")


def test_a_wrong_digest_is_never_stored(sent: Sent, bucket: Bucket) -> None:
    sent(sha256="0" * 64, source="twilio")
    for _ in range(MIN_ATTEMPTS):
        assert Media.objects.get().state in {State.PENDING, State.RETRYING}
        row = run_again()
    assert (row.state, row.attempts) == (State.REJECTED, MIN_ATTEMPTS)
    assert "SHA-256" in row.last_error
    assert bucket.keys() == []


def test_refused_credentials_never_cost_a_file(
    sent: Sent, provider: SimulatedProvider
) -> None:
    sent()
    provider.unauthorised = True
    run_out(give_up_at=timedelta(days=9))
    Media.objects.update(attempts=99, last_error="The same as ever.")
    assert run_again().state == run_again().state == State.RETRYING
    provider.unauthorised = False
    assert run_again().state == State.STORED


def test_one_wrong_answer_after_an_outage_of_ours_is_not_final(
    sent: Sent, media_root: Path
) -> None:
    sent("twilio", sha256="0" * 64)
    Media.objects.update(attempts=99, last_error="the media folder is missing")
    assert run_again().state == State.RETRYING
    assert run_again().state == State.REJECTED


# --- what the bucket has ----------------------------------------------------------


def test_a_storage_that_is_down_is_waited_for(sent: Sent, bucket: Bucket) -> None:
    sent()
    shutil.rmtree(bucket.root)
    ingest_next()
    row = Media.objects.get()
    assert row.state == State.RETRYING
    assert row.last_error == "the media folder is missing"
    bucket.root.mkdir()
    assert run_again().state == State.STORED


def test_a_storage_that_fails_in_the_middle_is_waited_for(
    sent: Sent, bucket: Bucket
) -> None:
    sent()
    away = bucket.root.with_name("away")
    bucket.before_put = lambda: bucket.root.rename(away)
    ingest_next()
    assert Media.objects.get().state == State.RETRYING
    away.rename(bucket.root)
    assert run_again().state == State.STORED


def key_of(media: Media, name: str) -> str:
    """The row's own key, or one of the same file by another name."""
    return f"{OWNER}/{name.format(media.id.hex[:12])}" if name else media.key


@pytest.mark.parametrize("name", ["", "1600000000-7-{}.bin", OTHER_NAME])
def test_a_right_object_is_adopted_under_whatever_key_it_has(
    sent: Sent, bucket: Bucket, provider: SimulatedProvider, name: str
) -> None:
    media = sent()
    key = key_of(media, name)
    put(bucket, key, PHOTO.body)
    written = (bucket.root / key).stat().st_mtime_ns
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.key, row.sha256) == (State.STORED, key, PHOTO.sha256)
    assert (row.size, row.content_type) == (PHOTO.size, "image/jpeg")
    assert (bucket.keys(), provider.downloads.total()) == ([key], 0)
    assert (bucket.root / key).stat().st_mtime_ns == written


def test_an_object_is_adopted_by_the_digest_in_its_metadata(
    sent: Sent, bucket: Bucket, provider: SimulatedProvider
) -> None:
    body = b"verified once"
    digest = {"sha256": sha256(body).hexdigest()}
    media = sent("twilio", content_type="text/csv")
    put(bucket, media.key, body, content_type="text/csv", metadata=digest)
    ingest_next()
    row = Media.objects.get()
    assert (row.size, row.content_type) == (len(body), "text/csv")
    assert provider.downloads.total() == 0


@pytest.mark.parametrize("name", ["", OTHER_NAME])
@pytest.mark.parametrize(
    "metadata", [{}, {"sha256": "0" * 64}, {"sha256": sha256(b"wrong").hexdigest()}]
)
def test_an_object_with_wrong_bytes_is_replaced(
    sent: Sent, bucket: Bucket, name: str, metadata: dict[str, str]
) -> None:
    key = key_of(sent(), name)
    put(bucket, key, b"wrong", metadata=metadata)
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.key, bucket.keys()) == (State.STORED, key, [key])
    assert bucket.read(key) == PHOTO.body


def test_an_object_without_any_digest_is_compared_with_what_the_provider_has(
    sent: Sent, bucket: Bucket
) -> None:
    key = sent("twilio").key
    put(bucket, key, PHOTO.body)
    ingest_next()
    assert Media.objects.get().is_stored
    assert bucket.puts == [key], "put once more"


def test_the_right_one_of_two_objects_is_adopted(sent: Sent, bucket: Bucket) -> None:
    media = sent()
    other = key_of(media, OTHER_NAME)
    put(bucket, media.key, b"wrong")
    put(bucket, other, PHOTO.body)
    ingest_next()
    assert Media.objects.get().key == other
    assert bucket.puts == [media.key, other], "put once more"


def test_an_object_of_another_file_is_neither_adopted_nor_replaced(
    sent: Sent, bucket: Bucket
) -> None:
    media = sent()
    other = key_of(media, OTHER_NAME)
    put(bucket, other, b"a namesake", metadata={"media-id": str(UUID(int=1))})
    ingest_next()
    assert Media.objects.get().key == media.key
    assert bucket.read(other) == b"a namesake"


def test_another_sender_whose_number_begins_alike_is_another_sender(
    sent: Sent, bucket: Bucket
) -> None:
    media = sent(owner="whatsapp:+1433")
    put(bucket, key_of(media, OTHER_NAME), PHOTO.body)
    ingest_next()
    key = parse_key(Media.objects.get().key)
    assert key is not None and key.owner == "whatsapp:+1433"


# --- at the wrong moment ---------------------------------------------------------------


def test_an_overtaken_worker_that_fails_leaves_the_file_stored(
    sent: Sent, bucket: Bucket
) -> None:
    sent()

    def overtaken_and_failing() -> None:
        run_again()
        assert run_again().is_stored
        shutil.rmtree(bucket.root)

    bucket.before_put = overtaken_and_failing
    ingest_next()
    assert Media.objects.get().state == State.STORED


def test_an_internal_error_is_shown_and_tried_again(sent: Sent) -> None:
    sent()
    Media.objects.update(source="carrier pigeon")
    with pytest.raises(ValueError, match="carrier pigeon"):
        ingest_next()
    row = Media.objects.get()
    assert (row.state, row.lease_until, row.lease_token) == (State.RETRYING, None, None)
    assert "internal error" in row.last_error
    assert row.next_attempt_at > datetime.now(UTC) - timedelta(seconds=2)


@pytest.mark.django_db(transaction=True)
def test_an_error_of_the_last_step_leaves_no_lease(
    sent: Sent, announced: Announced, bucket: Bucket
) -> None:
    media = sent()
    key = key_of(media, OTHER_NAME)
    put(bucket, key, PHOTO.body)
    Media.objects.filter(id=announced().id).update(key=key, state=State.DELETED)
    with pytest.raises(IntegrityError):
        ingest_next()
    media.refresh_from_db()
    assert (media.state, media.lease_token) == (State.RETRYING, None)
