"""What no vendor should answer, and some day does."""

from __future__ import annotations

from hashlib import sha256

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.retry import MIN_ATTEMPTS
from tests.media.bucket import Bucket
from tests.media.files import Announced
from tests.sources.calls import BODY
from tests.sources.hostile import HostileProvider

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


PAGE = b"<!doctype html><title>Sorry</title>"


@pytest.mark.parametrize(
    ("words", "differs"),
    [
        ({"sha256": sha256(PAGE).hexdigest()}, True),
        ({"content_type": "text/html"}, False),
    ],
)
def test_a_page_that_was_announced_is_a_file(
    fetch: Fetch, words: dict[str, object], differs: bool
) -> None:
    row = fetch("html", **words)
    assert (row.state, row.content_type) == (State.STORED, "text/html")
    assert row.type_differs == differs


@pytest.mark.parametrize(
    ("behaviour", "cap", "state"),
    [
        ("chunked", len(BODY), State.STORED),
        ("chunked", len(BODY) - 1, State.REJECTED),
        # It says so itself, and is not waited for.
        ("stalled-body", len(BODY) - 1, State.REJECTED),
    ],
)
def test_the_cap_is_exact(
    fetch: Fetch, settings: Settings, behaviour: str, cap: int, state: State
) -> None:
    settings.MEDIA_MAX_BYTES = cap
    assert fetch(behaviour).state == state


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
