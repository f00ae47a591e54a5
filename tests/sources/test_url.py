"""Files on the open web."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import Settings

from media_app.sources import Deadline, FetchTarget, source
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    RefusedAddressError,
    SourceError,
)
from tests.sources.calls import BODY
from tests.sources.hostile import HostileProvider

MakeTarget = Callable[..., FetchTarget]


def fetch(target: FetchTarget) -> bytes:
    with source("url").open(target, Deadline(5)) as opened:
        return b"".join(opened.chunks)


def test_the_address_may_be_the_files_own_id(
    target: MakeTarget, provider: HostileProvider
) -> None:
    assert fetch(target(provider.url("photo"))) == BODY


def test_no_credentials_are_sent(target: MakeTarget, provider: HostileProvider) -> None:
    fetch(target(url=provider.url("photo")))
    assert "authorization" not in provider.received()[0].headers


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("401", ForbiddenError),
        ("403", ForbiddenError),
        ("404", GoneError),
        ("410", GoneError),
    ],
)
def test_each_refusal_has_its_meaning(
    target: MakeTarget,
    provider: HostileProvider,
    behaviour: str,
    error: type[SourceError],
) -> None:
    with pytest.raises(error):
        fetch(target(url=provider.url(behaviour)))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://127.0.0.1/a",
            "https://localhost/a",
            "https://169.254.169.254/latest",
            "https://[::1]/",
        ),
        *(
            "http://pictures.example/a",
            "https://pictures.example:8443/a",
            "https://me@pictures.example/a",
        ),
        *("file:///etc/passwd", "photo.jpg", ""),
    ],
)
def test_what_is_not_public_https_is_refused(target: MakeTarget, url: str) -> None:
    with pytest.raises(RefusedAddressError):
        fetch(target(url=url))


def test_a_host_and_port_of_either_list_is_allowed(
    target: MakeTarget,
    provider: HostileProvider,
    elsewhere: HostileProvider,
    hub: Settings,
) -> None:
    hub.META_MEDIA_HOSTS, hub.TWILIO_MEDIA_HOSTS = [provider.host], [elsewhere.host]
    assert (
        fetch(target(url=provider.url("photo")))
        == fetch(target(url=elsewhere.url("photo")))
        == BODY
    )


def test_loopback_is_refused_where_nobody_listed_it(
    target: MakeTarget, provider: HostileProvider, hub: Settings
) -> None:
    hub.META_MEDIA_HOSTS = hub.TWILIO_MEDIA_HOSTS = ["fbsbx.com"]
    with pytest.raises(RefusedAddressError):
        fetch(target(url=provider.url("photo")))
    assert provider.connections == 0
