"""What every source keeps to, whatever the provider does."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import Settings

from media_app.sources import Deadline, FetchTarget, Source, source
from media_app.sources.errors import (
    RefusedAddressError,
    SourceError,
    ThrottledError,
    UnavailableError,
    WrongBytesError,
)
from tests.sources.calls import BODY
from tests.sources.hostile import HostileProvider

MakeTarget = Callable[..., FetchTarget]
Find = Callable[[str], FetchTarget]


@pytest.fixture(params=["meta", "twilio", "url"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def door(name: str) -> Source:
    return source(name)


@pytest.fixture
def find(name: str, target: MakeTarget, provider: HostileProvider) -> Find:
    """The target of a file that behaves so, in the source's own words."""
    return {
        "meta": lambda behaviour: target(media_id=behaviour),
        "twilio": lambda behaviour: target(url=provider.twilio_url(behaviour)),
        "url": lambda behaviour: target(url=provider.url(behaviour)),
    }[name]


def test_a_source_goes_by_its_name(door: Source, name: str) -> None:
    assert door.name == name


def test_only_meta_forgets() -> None:
    assert source("meta").lifetime == timedelta(days=7)
    assert source("twilio").lifetime is source("url").lifetime is None


def test_an_unknown_source_is_an_error() -> None:
    with pytest.raises(ValueError, match="pigeon"):
        source("pigeon")


@pytest.mark.parametrize("behaviour", ["photo", "redirect-here"])
def test_the_file_comes_with_what_is_known_of_it(
    door: Source, find: Find, behaviour: str
) -> None:
    with door.open(find(behaviour), Deadline(60)) as opened:
        assert b"".join(opened.chunks) == BODY
        assert opened.content_type == "image/jpeg"
        assert opened.size in {None, len(BODY)}
        assert opened.delimited


def test_a_body_without_an_announced_end_says_so(door: Source, find: Find) -> None:
    with door.open(find("close-delimited"), Deadline(60)) as opened:
        assert b"".join(opened.chunks) == BODY
        assert not opened.delimited


def test_what_the_body_holds_is_not_judged_here(door: Source, find: Find) -> None:
    with door.open(find("html"), Deadline(60)) as opened:
        assert b"Sorry" in b"".join(opened.chunks)
        assert opened.content_type == "text/html"


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        # How the HTTP client reads what is broken is in test_http.py; here is one of each meaning.
        ("truncated", UnavailableError),
        ("gzip", WrongBytesError),
        ("redirect-metadata", RefusedAddressError),
        ("redirect-nowhere", UnavailableError),
        ("204", UnavailableError),
        ("400", UnavailableError),
        ("503", UnavailableError),
    ],
)
def test_a_broken_answer_is_an_error_of_one_meaning(
    door: Source, find: Find, behaviour: str, error: type[SourceError]
) -> None:
    with (
        pytest.raises(error) as caught,
        door.open(find(behaviour), Deadline(60)) as opened,
    ):
        b"".join(opened.chunks)
    assert type(caught.value) is error
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_a_host_that_asks_to_slow_down_says_for_how_long(
    door: Source, find: Find
) -> None:
    with pytest.raises(ThrottledError) as caught, door.open(find("429"), Deadline(60)):
        pass
    assert caught.value.retry_after == timedelta(seconds=7)


def test_no_fetch_outlives_its_deadline(door: Source, find: Find) -> None:
    with (
        pytest.raises(UnavailableError, match=r"longer than 0\.2 s"),
        door.open(find("drip-close-delimited"), Deadline(0.2)) as opened,
    ):
        b"".join(opened.chunks)


def test_leaving_early_hangs_up(
    door: Source, find: Find, provider: HostileProvider
) -> None:
    with door.open(find("endless"), Deadline(60)) as opened:
        next(opened.chunks)
    assert provider.wait_hung_up(provider.received("/link/endless")[0])


def test_a_host_that_is_not_listed_is_not_called(
    door: Source, find: Find, provider: HostileProvider, elsewhere: HostileProvider
) -> None:
    provider.target = elsewhere.url("photo")
    with pytest.raises(RefusedAddressError), door.open(find("redirect"), Deadline(60)):
        pass
    assert elsewhere.connections == 0


def test_hosts_are_read_when_they_are_needed(
    door: Source,
    find: Find,
    provider: HostileProvider,
    elsewhere: HostileProvider,
    hub: Settings,
) -> None:
    provider.target = elsewhere.url("photo")
    hub.META_MEDIA_HOSTS = [provider.host, elsewhere.host]
    hub.TWILIO_MEDIA_HOSTS = [provider.host, elsewhere.host]
    with door.open(find("redirect"), Deadline(60)) as opened:
        assert b"".join(opened.chunks) == BODY
    assert "authorization" not in elsewhere.received()[0].headers
