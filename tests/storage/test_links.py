"""Links that are kept for a while."""

from __future__ import annotations

from itertools import count

import pytest

from media_app.storage.s3 import links
from media_app.storage.s3.links import Links


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock) -> Links:
    """Each signing gives another link."""
    numbers = count(1)
    return Links(lambda key: f"{key}-{next(numbers)}", use_for=300, clock=clock)


def test_a_link_is_given_out_again_until_its_time(kept: Links, clock: Clock) -> None:
    assert [kept.get("a"), kept.get("b"), kept.get("a")] == ["a-1", "b-2", "a-1"]
    clock.now += 299
    assert kept.get("a") == "a-1"
    clock.now += 1
    assert [kept.get("a"), kept.get("a")] == ["a-3", "a-3"]


def test_the_link_that_was_not_asked_for_the_longest_makes_room(
    kept: Links, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_LINKS", 2)
    for key in ("a", "b", "a", "c"):
        kept.get(key)
    assert [kept.get("a"), kept.get("c"), kept.get("b")] == ["a-1", "c-3", "b-4"]


def test_a_link_signed_anew_counts_as_asked_for_now(
    kept: Links, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MAX_LINKS", 2)
    for key in ("a", "b"):
        kept.get(key)
    clock.now += 300
    kept.get("a")
    kept.get("c")
    assert kept.get("a") == "a-3"


def test_only_the_link_that_failed_is_forgotten(kept: Links) -> None:
    link = kept.get("a")
    kept.forget("a", link)
    assert kept.get("a") == "a-2"
    kept.forget("a", link)
    kept.forget("b", link)
    assert kept.get("a") == "a-2"
