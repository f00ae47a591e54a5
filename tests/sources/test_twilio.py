"""Twilio: credentials to the API and to nobody else."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import Settings

from media_app.sources import Deadline, FetchTarget, source
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    RefusedAddressError,
    SourceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from tests.sources.calls import ACCOUNT, BODY
from tests.sources.hostile import HostileProvider

MakeTarget = Callable[..., FetchTarget]
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM01/Media/photo"


def fetch(target: FetchTarget) -> bytes:
    with source("twilio").open(target, Deadline(5)) as opened:
        return b"".join(opened.chunks)


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def sent(provider: HostileProvider) -> list[str | None]:
    """The credentials of each request that came."""
    return [request.headers.get("authorization") for request in provider.received()]


@pytest.fixture
def cdn(
    provider: HostileProvider, elsewhere: HostileProvider, hub: Settings
) -> HostileProvider:
    """The other host that Twilio's links lead to, as in life."""
    provider.links = elsewhere.base
    hub.TWILIO_MEDIA_HOSTS = [elsewhere.host]
    return elsewhere


# --- credentials ----------------------------------------------------------------


def test_the_api_sees_the_account_and_the_link_sees_nothing(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider
) -> None:
    assert fetch(target(url=provider.twilio_url("photo"))) == BODY
    assert sent(provider) == [basic(ACCOUNT, "hush-hush")]
    assert sent(cdn) == [None]


def test_an_api_key_goes_with_its_own_secret(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider, hub: Settings
) -> None:
    hub.TWILIO_API_KEY, hub.TWILIO_API_SECRET = "SK01", ["hush-key"]
    assert fetch(target(url=provider.twilio_url("photo"))) == BODY
    assert sent(provider) == [basic("SK01", "hush-key")]


def test_a_key_without_a_secret_is_no_pair(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider, hub: Settings
) -> None:
    hub.TWILIO_API_KEY = "SK01"
    assert fetch(target(url=provider.twilio_url("photo"))) == BODY
    assert sent(provider) == [basic(ACCOUNT, "hush-hush")]


def test_the_old_token_is_taken_when_the_new_one_is_refused(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider, hub: Settings
) -> None:
    hub.TWILIO_AUTH_TOKEN = ["hush-new", "hush-old"]
    provider.refused = {basic(ACCOUNT, "hush-new")}
    assert fetch(target(url=provider.twilio_url("photo"))) == BODY
    assert sent(provider) == [basic(ACCOUNT, "hush-new"), basic(ACCOUNT, "hush-old")]
    assert provider.connections == 1


def test_refused_keys_are_never_mixed_with_tokens(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider, hub: Settings
) -> None:
    hub.TWILIO_API_KEY, hub.TWILIO_API_SECRET = "SK01", ["hush-new", "hush-old"]
    provider.refused = {basic("SK01", "hush-new"), basic("SK01", "hush-old")}
    with pytest.raises(UnauthorizedError):
        fetch(target(url=provider.twilio_url("photo")))
    assert sent(provider) == [basic("SK01", "hush-new"), basic("SK01", "hush-old")]


@pytest.mark.parametrize("name", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"])
def test_missing_credentials_are_unauthorized_and_named(
    target: MakeTarget, provider: HostileProvider, hub: Settings, name: str
) -> None:
    setattr(hub, name, type(getattr(hub, name))())
    with pytest.raises(UnauthorizedError, match=name):
        fetch(target(url=provider.twilio_url("photo")))
    assert provider.connections == 0


@pytest.mark.parametrize(
    ("announced", "in_path"),
    [("AC0002222", "AC0002222"), (ACCOUNT, "AC0002222"), ("AC0002222", ACCOUNT)],
    ids=["both", "path", "target"],
)
def test_another_account_gets_none_of_our_credentials(
    target: MakeTarget,
    provider: HostileProvider,
    cdn: HostileProvider,
    announced: str,
    in_path: str,
) -> None:
    with pytest.raises(ForbiddenError, match="AC…2222; TWILIO_ACCOUNT_SID is another"):
        fetch(
            target(url=provider.twilio_url("photo", account=in_path), account=announced)
        )
    assert provider.connections == 0


@pytest.mark.parametrize(
    "path",
    [
        f"/2010-04-01/Accounts/{ACCOUNT}.json",
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM01/Media",
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM01/Media/..",
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM01/Media/ME01/more",
        f"/x/2010-04-01/Accounts/{ACCOUNT}/Messages/MM01/Media/ME01",
    ],
)
def test_credentials_go_to_media_and_to_no_other_resource(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider, path: str
) -> None:
    with pytest.raises(RefusedAddressError):
        fetch(target(url=f"{provider.base}{path}"))
    assert provider.connections == 0


# --- where the API is -------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["api.twilio.com", "api.dublin.ie1.twilio.com", "api.twilio.com:443"]
)
def test_an_api_of_ones_own_stands_in_for_twilios(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider, host: str
) -> None:
    assert fetch(target(url=f"https://{host}{PATH}")) == BODY
    assert provider.received()[0].path == PATH
    assert sent(provider) == [basic(ACCOUNT, "hush-hush")]


@pytest.mark.parametrize(
    "base",
    [
        *(
            "http://api.twilio.com",
            "https://api.twilio.com:8443",
            "https://api.twilio.com.evil.example",
        ),
        *(
            "https://evil-api.twilio.com",
            "https://user@api.twilio.com",
            "https://api.evil.example",
        ),
        *("https://apixtwilio.com", "http://127.0.0.1:9"),
    ],
)
def test_what_only_looks_like_the_api_is_refused(
    target: MakeTarget, provider: HostileProvider, base: str
) -> None:
    with pytest.raises(RefusedAddressError):
        fetch(target(url=f"{base}{PATH}"))
    assert provider.connections == 0


def test_a_link_of_the_cdn_is_opened_without_credentials(
    target: MakeTarget, provider: HostileProvider, cdn: HostileProvider
) -> None:
    assert fetch(target(url=cdn.url("photo"))) == BODY
    assert sent(cdn) == [None]
    assert provider.connections == 0


def test_no_link_at_all_is_refused(target: MakeTarget) -> None:
    with pytest.raises(RefusedAddressError):
        fetch(target("ME01"))


# --- refusals ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("api-401", UnauthorizedError),
        ("api-403", ForbiddenError),
        ("api-404", GoneError),
        ("api-410", GoneError),
        ("api-429", ThrottledError),
        ("api-500", UnavailableError),
        ("api-503", UnavailableError),
        ("api-400", UnavailableError),
        ("api-204", UnavailableError),
        ("401", UnavailableError),
        ("403", UnavailableError),
        ("404", UnavailableError),
        ("410", UnavailableError),
    ],
)
def test_each_refusal_has_its_meaning(
    target: MakeTarget,
    provider: HostileProvider,
    cdn: HostileProvider,
    behaviour: str,
    error: type[SourceError],
) -> None:
    with pytest.raises(error) as caught:
        fetch(target(url=provider.twilio_url(behaviour)))
    assert type(caught.value) is error
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_the_api_may_say_for_how_long_to_slow_down(
    target: MakeTarget, provider: HostileProvider
) -> None:
    with pytest.raises(ThrottledError) as caught:
        fetch(target(url=provider.twilio_url("api-429")))
    assert caught.value.retry_after == timedelta(seconds=7)
