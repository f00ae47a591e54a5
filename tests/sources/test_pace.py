"""Providers that send, but too slowly to wait for."""

from __future__ import annotations

import pytest

from media_app.sources import pace
from media_app.sources.deadline import Deadline
from media_app.sources.errors import UnavailableError
from media_app.sources.hosts import Hosts
from media_app.sources.http import get
from media_app.sources.pace import MINIMUM_RATE, MinimumRate, Pace
from tests.sources.hostile import HostileProvider

# The hostile provider drips some fifty bytes a second.
QUICK = MinimumRate(size=1000, seconds=0.4)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("reads", "is_too_slow"),
    [
        # Seconds of waiting, bytes that came.
        ([(19.9, 0)], False),
        ([(20.1, 0)], True),
        ([(1.0, 1)] * 21, True),
        ([(1.0, 1000)] * 21, False),
        ([(10.0, 0), (10.0, 20_000)], False),
        # A transfer that was quick and then drips.
        ([(1.0, 10_000_000), (20.0, 0), (20.1, 0)], True),
    ],
)
def test_less_than_a_kilobyte_a_second_for_twenty_seconds_is_too_slow(
    reads: list[tuple[float, int]], is_too_slow: bool
) -> None:
    clock = Clock()
    transfer, found = Pace(MINIMUM_RATE, clock), False
    for seconds, size in reads:
        with transfer.waiting():
            clock.now += seconds
        transfer.came(size)
        found = found or transfer.is_too_slow()
    assert found == is_too_slow


def test_a_read_that_never_ends_is_too_slow() -> None:
    clock = Clock()
    transfer = Pace(MINIMUM_RATE, clock)
    with transfer.waiting():
        clock.now += 21
        assert transfer.is_too_slow()


def test_our_own_time_between_two_reads_does_not_count() -> None:
    clock = Clock()
    transfer = Pace(MINIMUM_RATE, clock)
    for _ in range(10):
        with transfer.waiting():
            clock.now += 0.1
        transfer.came(1)
        clock.now += 60
        assert not transfer.is_too_slow()


@pytest.mark.parametrize(
    "name",
    [
        "drip-body",
        "drip-close-delimited",
        "drip-chunk-sizes",
        "drip-headers",
        "drip-error",
    ],
)
def test_a_provider_that_drips_is_cut_long_before_the_deadline(
    provider: HostileProvider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pace, "MINIMUM_RATE", QUICK)
    deadline = Deadline(300)
    with (
        pytest.raises(UnavailableError, match="too slow"),
        get(
            provider.url(name), hosts=Hosts([provider.host]), deadline=deadline
        ) as response,
    ):
        response.body(100_000)
    assert deadline.remaining() > 200
