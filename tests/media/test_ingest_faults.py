"""What no vendor should answer, and some day does."""

from __future__ import annotations

import tempfile
from hashlib import sha256
from pathlib import Path

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.retry import MIN_ATTEMPTS
from media_app.spool import IN_MEMORY
from tests.media.bucket import Bucket
from tests.media.files import Announced
from tests.sources.hostile import BODY, HostileProvider

pytestmark = [pytest.mark.django_db]

State = Media.State


class Fetch:
    """A file of the hostile provider, fetched again and again."""

    def __init__(self, announced: Announced, hostile: HostileProvider) -> None:
        self._announced = announced
        self._hostile = hostile

    def __call__(self, behaviour: str, **words: object) -> Media:
        self._announced(
            **{"source": "url", "url": self._hostile.url(behaviour), **words}
        )
        return self.again()

    def again(self) -> Media:
        Media.objects.update(next_attempt_at=Now())
        ingest_next()
        return Media.objects.get()


@pytest.fixture
def fetch(announced: Announced, hostile: HostileProvider) -> Fetch:
    return Fetch(announced, hostile)


@pytest.mark.parametrize(
    ("behaviour", "words", "reason"),
    [
        ("html", {"content_type": ""}, "text/html"),
        ("empty", {"size": 0}, "empty"),
        ("other-bytes", {"sha256": sha256(BODY).hexdigest()}, "SHA-256"),
        ("close-delimited", {"size": len(BODY) - 1}, "bytes were announced"),
    ],
)
def test_what_is_not_the_file_is_not_stored(
    fetch: Fetch, bucket: Bucket, behaviour: str, words: dict[str, object], reason: str
) -> None:
    row = fetch(behaviour, **words)
    assert row.state == State.RETRYING
    assert reason in row.last_error
    assert bucket.keys() == []


def test_a_right_digest_makes_a_strange_file_right(fetch: Fetch) -> None:
    page = b"<!doctype html><title>Sorry</title>"
    row = fetch("html", sha256=sha256(page).hexdigest())
    assert (row.state, row.content_type, row.type_differs) == (
        State.STORED,
        "text/html",
        True,
    )


def test_a_page_that_was_announced_as_one_is_a_file(fetch: Fetch) -> None:
    assert fetch("html", content_type="text/html").state == State.STORED


def test_an_endless_body_is_cut_at_the_cap(
    fetch: Fetch, settings: Settings, bucket: Bucket
) -> None:
    settings.MEDIA_MAX_BYTES = 3 * IN_MEMORY
    row = fetch("endless")
    assert row.state == State.REJECTED
    assert f"{3 * IN_MEMORY:,} bytes" in row.last_error
    assert bucket.keys() == []


def test_a_file_that_says_that_it_is_too_large_is_not_waited_for(
    fetch: Fetch, settings: Settings
) -> None:
    settings.MEDIA_MAX_BYTES = len(BODY) - 1
    assert fetch("stalled-body").state == State.REJECTED


def test_a_file_of_exactly_the_cap_is_stored(fetch: Fetch, settings: Settings) -> None:
    settings.MEDIA_MAX_BYTES = len(BODY)
    assert fetch("chunked").state == State.STORED


def test_a_file_one_byte_over_the_cap_is_not(fetch: Fetch, settings: Settings) -> None:
    settings.MEDIA_MAX_BYTES = len(BODY) - 1
    assert fetch("chunked").state == State.REJECTED


def test_a_body_without_an_end_is_stored_when_two_fetches_agree(
    fetch: Fetch, bucket: Bucket
) -> None:
    row = fetch("close-delimited")
    assert (row.state, bucket.keys()) == (State.RETRYING, [])
    assert "fetched again to compare" in row.last_error
    assert fetch.again().state == State.STORED
    assert bucket.read(row.key) == BODY


def test_a_length_that_was_announced_needs_no_second_fetch(fetch: Fetch) -> None:
    assert fetch("close-delimited", size=len(BODY)).state == State.STORED


@pytest.mark.parametrize(
    ("told", "state", "reason"),
    [
        (len(BODY), State.STORED, ""),
        (len(BODY) + 1, State.RETRYING, "bytes were announced"),
    ],
)
def test_a_length_that_the_api_tells_is_one_that_was_announced(
    fetch: Fetch,
    hostile: HostileProvider,
    settings: Settings,
    told: int,
    state: State,
    reason: str,
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["token"]
    hostile.facts = {"file_size": told, "sha256": ""}
    row = fetch("", source="meta", url="", provider_media_id="close-delimited")
    assert row.state == state
    assert reason in row.last_error


@pytest.mark.parametrize(
    ("ours", "theirs", "state"),
    [(BODY, b"", State.STORED), (b"", BODY, State.RETRYING)],
)
def test_the_digest_of_the_message_outweighs_that_of_the_api(
    fetch: Fetch,
    hostile: HostileProvider,
    settings: Settings,
    ours: bytes,
    theirs: bytes,
    state: State,
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["token"]
    hostile.facts = {"sha256": sha256(theirs).hexdigest()}
    row = fetch(
        "",
        source="meta",
        url="",
        provider_media_id="photo",
        sha256=sha256(ours).hexdigest(),
    )
    assert (row.state, "SHA-256" in row.last_error) == (state, state != State.STORED)


def test_half_a_body_is_not_stored_by_two_fetches_that_differ(
    fetch: Fetch, hostile: HostileProvider, bucket: Bucket
) -> None:
    fetch("close-delimited")
    hostile.body = BODY[:1000]
    assert fetch.again().state == State.RETRYING
    hostile.body = BODY
    assert fetch.again().state == State.RETRYING
    assert fetch.again().state == State.STORED
    assert bucket.read(Media.objects.get().key) == BODY


@pytest.mark.both_databases
def test_a_failure_between_two_fetches_does_not_forget_the_first(
    fetch: Fetch, hostile: HostileProvider
) -> None:
    fetch("close-delimited")
    Media.objects.update(url=hostile.url("503"))
    assert fetch.again().state == State.RETRYING
    Media.objects.update(url=hostile.url("close-delimited"))
    assert fetch.again().state == State.STORED


def test_a_body_that_never_is_the_same_is_given_up_some_day(
    fetch: Fetch, hostile: HostileProvider
) -> None:
    fetch("close-delimited")
    for round in range(MIN_ATTEMPTS):
        hostile.body = BODY[: 1000 + round]
        assert fetch.again().state == State.RETRYING
    Media.objects.update(give_up_at=Now())
    hostile.body = BODY[:2000]
    assert fetch.again().state == State.EXPIRED


@pytest.mark.both_databases
def test_where_only_transfers_tell_the_first_worker_is_right(
    fetch: Fetch, hostile: HostileProvider, bucket: Bucket
) -> None:
    """Two workers fetch at once, and the provider gives each another body."""

    def overtaken() -> None:
        hostile.body = BODY[::-1]
        Media.objects.update(lease_until=None)
        # The first one only ends the attempt that was overtaken.
        fetch.again()
        assert fetch.again().state == State.STORED

    bucket.before_put = overtaken
    row = fetch("chunked")
    assert row.state == State.STORED
    assert row.sha256 == sha256(bucket.read(row.key)).hexdigest()
    assert len(bucket.puts) == 1


def test_a_full_disk_is_ours_to_mend(
    fetch: Fetch,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    hostile: HostileProvider,
) -> None:
    hostile.body = BODY + bytes(IN_MEMORY)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    row = fetch("photo")
    Media.objects.update(attempts=99, give_up_at=Now())
    assert (row.state, fetch.again().state) == (State.RETRYING, State.RETRYING)
    assert "disk" in row.last_error
    monkeypatch.undo()
    assert fetch.again().state == State.STORED


@pytest.mark.both_databases
def test_a_source_that_never_forgets_is_not_asked_for_ever_for_what_it_lacks(
    fetch: Fetch,
) -> None:
    fetch("404")
    Media.objects.update(
        announced_at=Now()
        - (Media.objects.get().give_up_at - Media.objects.get().announced_at) / 2
    )
    assert {fetch.again().state for _ in range(MIN_ATTEMPTS)} == {State.RETRYING}
    Media.objects.update(give_up_at=Now())
    assert fetch.again().state == State.EXPIRED
