"""Files on the open web."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import Settings

from media_app.sources import Deadline, Origin, source
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    RefusedAddressError,
    SourceError,
)
from tests.sources.calls import BODY
from tests.sources.hostile import HostileProvider

MakeOrigin = Callable[..., Origin]


def fetch(origin: Origin) -> bytes:
    with source("url").open(origin, Deadline(5)) as opened:
        return b"".join(opened.chunks)


def test_the_address_may_be_the_files_own_id(
    origin: MakeOrigin, provider: HostileProvider
) -> None:
    assert fetch(origin(provider.url("photo"))) == BODY


def test_no_credentials_are_sent(origin: MakeOrigin, provider: HostileProvider) -> None:
    fetch(origin(url=provider.url("photo")))
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
    origin: MakeOrigin,
    provider: HostileProvider,
    behaviour: str,
    error: type[SourceError],
) -> None:
    with pytest.raises(error):
        fetch(origin(url=provider.url(behaviour)))


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
def test_what_is_not_public_https_is_refused(origin: MakeOrigin, url: str) -> None:
    with pytest.raises(RefusedAddressError):
        fetch(origin(url=url))


def test_a_host_and_port_of_either_list_is_allowed(
    origin: MakeOrigin,
    provider: HostileProvider,
    elsewhere: HostileProvider,
    hub: Settings,
) -> None:
    hub.META_MEDIA_HOSTS, hub.TWILIO_MEDIA_HOSTS = [provider.host], [elsewhere.host]
    assert (
        fetch(origin(url=provider.url("photo")))
        == fetch(origin(url=elsewhere.url("photo")))
        == BODY
    )


def test_loopback_is_refused_where_nobody_listed_it(
    origin: MakeOrigin, provider: HostileProvider, hub: Settings
) -> None:
    hub.META_MEDIA_HOSTS = hub.TWILIO_MEDIA_HOSTS = ["fbsbx.com"]
    with pytest.raises(RefusedAddressError):
        fetch(origin(url=provider.url("photo")))
    assert provider.connections == 0
