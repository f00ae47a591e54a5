"""A second object of a file goes only while the first one is right."""

from __future__ import annotations

from contextlib import closing

import pytest

from media_app.models import Media
from media_app.storage import media_storage
from tests.messages.cleanup.runs import age, applied, plan, see_twice
from tests.storage.buckets import keys, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def second(files: list[Media]) -> str:
    """The key of another object of the first file, with its bytes."""
    found = media_storage().head(files[0].key)
    opened = media_storage().open_range(files[0].key)
    assert found and opened
    key = files[0].key.replace("-", "-9", 1)
    with closing(opened):
        body = b"".join(opened.chunks())
    put(media_storage(), key, body, metadata=found.metadata)
    age(key)
    return key


def spoil(media: Media) -> None:
    """Let the object of a file have other bytes of the same number."""
    found = media_storage().head(media.key)
    assert found
    wrong = b"\0" * found.size
    put(media_storage(), media.key, wrong, metadata=found.metadata, replace=True)


def test_it_goes_while_the_first_is_right(files: list[Media], second: str) -> None:
    assert see_twice() == {second: "orphan"}
    assert applied() == {second: "deleted"}


def test_it_stays_when_the_first_is_wrong(files: list[Media], second: str) -> None:
    assert see_twice() == {second: "orphan"}
    spoil(files[0])
    assert applied() == {second: "changed"}
    assert plan() == {}
    assert second in keys(media_storage())
