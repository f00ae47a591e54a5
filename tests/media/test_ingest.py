from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

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
from tests.media.files import OWNER, Announced, Sent

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State


def run_again() -> Media:
    """The next attempt, as if its time had come."""
    AccountPause.objects.update(until=Now())
    Media.objects.update(next_attempt_at=Now(), lease_until=None)
    ingest_next()
    return Media.objects.get()


def overtaken() -> None:
    """Another worker takes the file over, and stores it."""
    run_again()
    assert run_again().state == State.STORED


def lay(bucket: Bucket, key: str, body: bytes, **metadata: str) -> None:
    """Put an object there as an earlier run would have done."""
    bucket.put(
        key, BytesIO(body), size=len(body), content_type="image/jpeg", metadata=metadata
    )
    bucket.puts.clear()


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
    assert (stored.content_type, stored.metadata["media-id"]) == (
        "image/jpeg",
        str(row.id),
    )
    assert stored.metadata["sha256"] == row.sha256
    record = decode(stored.metadata, keys=[])
    for name in (
        "source",
        "account",
        "provider_media_id",
        "provider_message_id",
        "position",
        "owner",
    ):
        assert getattr(record, name) == getattr(row, name)
    for name in (
        "time_assumed",
        "announced_type",
        "filename",
        "url",
        "size",
        "content_type",
        "type_differs",
    ):
        assert getattr(record, name) == getattr(row, name)
    assert datetime.fromtimestamp(record.occurred_at, UTC) == row.occurred_at
    assert datetime.fromtimestamp(record.announced_at, UTC) == row.announced_at


def test_a_right_file_of_another_type_is_kept_as_what_it_is(sent: Sent) -> None:
    sent(content_type="image/png")
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.content_type, row.type_differs) == (
        State.STORED,
        "image/jpeg",
        True,
    )
    assert row.key.endswith(".png")


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


def test_a_file_that_is_too_large_is_rejected(sent: Sent, settings: Settings) -> None:
    settings.MEDIA_MAX_BYTES = 1000
    sent()
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.failure) == (State.REJECTED, Media.Failure.TOO_LARGE)
    assert "1,000 bytes" in row.last_error


def test_a_provider_that_is_down_is_asked_again(
    sent: Sent, provider: SimulatedProvider
) -> None:
    sent()
    provider.down = True
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.attempts) == (State.RETRYING, 1)
    assert "503" in row.last_error
    provider.down = False
    assert run_again().state == State.STORED


def test_refused_credentials_never_cost_a_file(
    sent: Sent, provider: SimulatedProvider
) -> None:
    sent()
    provider.unauthorised = True
    Media.objects.update(
        attempts=99,
        give_up_at=Now() - timedelta(days=9),
        last_error="The same as ever.",
    )
    assert run_again().state == run_again().state == State.RETRYING
    provider.unauthorised = False
    assert run_again().state == State.STORED


def test_a_file_that_is_gone_is_asked_for_until_its_seven_days_are_over(
    sent: Sent, provider: SimulatedProvider
) -> None:
    provider.expired.add(sent().provider_media_id)
    for _ in range(MIN_ATTEMPTS + 2):
        assert run_again().state == State.RETRYING
    Media.objects.update(expires_at=Now() - timedelta(minutes=1))
    row = run_again()
    assert row.state == State.EXPIRED
    assert "does not have the file" in row.last_error


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
    assert (row.state, row.last_error) == (
        State.RETRYING,
        "the media folder is missing",
    )
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


def test_an_object_whose_row_was_not_marked_is_adopted(
    sent: Sent, bucket: Bucket, provider: SimulatedProvider
) -> None:
    media = sent()

    def die() -> None:
        raise KeyboardInterrupt

    bucket.after_put = die
    with pytest.raises(KeyboardInterrupt):
        ingest_next()
    assert Media.objects.get().state == State.FETCHING
    assert run_again().state == State.RETRYING, (
        "the worker that was lost counts as a failure"
    )
    assert run_again().state == State.STORED
    assert (provider.downloads[media.provider_media_id], len(bucket.puts)) == (1, 1)


@pytest.mark.parametrize(
    "name", ["the row's own", "1600000000-7-{hex}.bin", "1600000000-0-{hex}.jpeg"]
)
def test_a_right_object_is_adopted_under_whatever_key_it_has(
    sent: Sent, bucket: Bucket, provider: SimulatedProvider, name: str
) -> None:
    media = sent()
    key = (
        media.key
        if name == "the row's own"
        else f"{OWNER}/{name.format(hex=media.id.hex[:12])}"
    )
    lay(bucket, key, content(Kind.PHOTO, 1).body)
    written = (bucket.root / key).stat().st_mtime_ns
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.key, row.sha256) == (
        State.STORED,
        key,
        media.announced_sha256,
    )
    assert (row.size, row.content_type) == (content(Kind.PHOTO, 1).size, "image/jpeg")
    assert (
        bucket.keys(),
        bucket.puts,
        provider.downloads[media.provider_media_id],
    ) == ([key], [], 0)
    assert (bucket.root / key).stat().st_mtime_ns == written


def test_an_object_is_adopted_by_the_digest_in_its_metadata(
    sent: Sent, bucket: Bucket, provider: SimulatedProvider
) -> None:
    media = sent("twilio")
    lay(
        bucket, media.key, b"verified once", sha256=sha256(b"verified once").hexdigest()
    )
    ingest_next()
    assert Media.objects.get().size == len(b"verified once")
    assert provider.downloads[media.provider_media_id] == 0


def test_an_adopted_file_keeps_the_type_it_was_stored_with(
    announced: Announced, bucket: Bucket
) -> None:
    media = announced(source="url", content_type="", url="https://example.org/x")
    body = b"name,age\n"
    digest = sha256(body).hexdigest()
    bucket.put(
        media.key,
        BytesIO(body),
        size=9,
        content_type="text/csv",
        metadata={"sha256": digest},
    )
    ingest_next()
    assert Media.objects.get().content_type == "text/csv"


@pytest.mark.parametrize("name", ["the row's own", "1600000000-0-{hex}.jpeg"])
@pytest.mark.parametrize(
    "metadata", [{}, {"sha256": "0" * 64}, {"sha256": sha256(b"wrong").hexdigest()}]
)
def test_an_object_with_wrong_bytes_is_replaced(
    sent: Sent, bucket: Bucket, name: str, metadata: dict[str, str]
) -> None:
    media = sent()
    key = (
        media.key
        if name == "the row's own"
        else f"{OWNER}/{name.format(hex=media.id.hex[:12])}"
    )
    lay(bucket, key, b"wrong", **metadata)
    ingest_next()
    row = Media.objects.get()
    assert (row.state, row.key, bucket.keys()) == (State.STORED, key, [key])
    assert bucket.read(key) == content(Kind.PHOTO, 1).body


def test_an_object_without_any_digest_is_compared_with_what_the_provider_has(
    sent: Sent, bucket: Bucket
) -> None:
    media = sent("twilio")
    lay(bucket, media.key, content(Kind.PHOTO, 1).body)
    ingest_next()
    assert Media.objects.get().state == State.STORED
    assert bucket.puts == []


def test_the_right_one_of_two_objects_is_adopted(sent: Sent, bucket: Bucket) -> None:
    media = sent()
    other = f"{OWNER}/1600000000-0-{media.id.hex[:12]}.jpeg"
    lay(bucket, media.key, b"wrong")
    lay(bucket, other, content(Kind.PHOTO, 1).body)
    ingest_next()
    assert (Media.objects.get().key, bucket.puts) == (other, [])


def test_an_object_of_another_file_is_neither_adopted_nor_replaced(
    sent: Sent, bucket: Bucket
) -> None:
    media = sent()
    other = f"{OWNER}/1600000000-0-{media.id.hex[:12]}.jpeg"
    lay(
        bucket,
        other,
        b"a namesake",
        **{"media-id": "3fa9c1d2-e4b7-5000-8000-000000000000"},
    )
    ingest_next()
    assert Media.objects.get().key == media.key
    assert bucket.read(other) == b"a namesake"


def test_another_sender_whose_number_begins_alike_is_another_sender(
    sent: Sent, bucket: Bucket
) -> None:
    media = sent(owner="whatsapp:+1433")
    lay(
        bucket,
        f"{OWNER}/1600000000-0-{media.id.hex[:12]}.jpeg",
        content(Kind.PHOTO, 1).body,
    )
    ingest_next()
    key = parse_key(Media.objects.get().key)
    assert key is not None and key.owner == "whatsapp:+1433"


# --- twice at once, and at the wrong moment -------------------------------------------


def test_a_file_that_is_deleted_while_it_is_fetched_leaves_no_object(
    sent: Sent, bucket: Bucket
) -> None:
    sent()
    bucket.after_put = lambda: Media.objects.update(state=State.DELETED)
    result = ingest_next()
    assert result is not None and not result.is_stored
    assert (Media.objects.get().state, bucket.keys()) == (State.DELETED, [])


def test_a_worker_that_was_overtaken_changes_nothing(
    sent: Sent, bucket: Bucket
) -> None:
    sent()
    bucket.after_put = overtaken
    ingest_next()
    assert (Media.objects.get().state, len(bucket.puts), len(bucket.keys())) == (
        State.STORED,
        1,
        1,
    )


def test_an_overtaken_worker_that_fails_leaves_the_file_stored(
    sent: Sent, bucket: Bucket
) -> None:
    sent()

    def overtaken_and_failing() -> None:
        overtaken()
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
    key = f"{OWNER}/1600000000-0-{media.id.hex[:12]}.jpeg"
    lay(bucket, key, content(Kind.PHOTO, 1).body)
    Media.objects.filter(id=announced().id).update(key=key, state=State.DELETED)
    with pytest.raises(IntegrityError):
        ingest_next()
    media.refresh_from_db()
    assert (media.state, media.lease_token) == (State.RETRYING, None)


def test_nothing_due_is_nothing_done() -> None:
    assert ingest_next() is None
