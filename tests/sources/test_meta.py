"""Meta: links of five minutes, ids of seven days, and the meaning of the Graph API's refusals."""

from __future__ import annotations

import base64
import hashlib
import traceback
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import Settings

from media_app.sources import Deadline, FetchTarget, OpenedFile, source
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    RefusedAddressError,
    SourceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from tests.sources.calls import BODY
from tests.sources.hostile import HostileProvider

MakeTarget = Callable[..., FetchTarget]
DIGEST = hashlib.sha256(BODY)


def fetch(target: FetchTarget, seconds: float = 60) -> tuple[OpenedFile, bytes]:
    with source("meta").open(target, Deadline(seconds)) as opened:
        return opened, b"".join(opened.chunks)


# --- the way to the file --------------------------------------------------------


def test_a_media_id_leads_to_a_link_and_the_link_to_the_file(
    target: MakeTarget, provider: HostileProvider
) -> None:
    opened, body = fetch(target("photo"))
    assert body == BODY
    assert [request.path for request in provider.received()] == [
        "/v25.0/photo",
        "/link/photo",
    ]
    assert {request.headers["authorization"] for request in provider.received()} == {
        "Bearer hush-hush"
    }
    assert (opened.size, opened.sha256) == (len(BODY), DIGEST.hexdigest())


def test_a_fresh_announced_link_saves_asking(
    target: MakeTarget, provider: HostileProvider
) -> None:
    opened, body = fetch(target("photo", url=provider.url("photo"), minutes=4))
    assert (body, opened.sha256) == (BODY, "")
    assert [request.path for request in provider.received()] == ["/link/photo"]
    assert provider.received()[0].headers["authorization"] == "Bearer hush-hush"


def test_a_link_of_more_than_five_minutes_is_not_tried(
    target: MakeTarget, provider: HostileProvider
) -> None:
    fetch(target("photo", url=provider.url("404"), minutes=6))
    assert provider.received("/404") == []


@pytest.mark.parametrize(
    "dead", ["400", "401", "403", "404", "410", "500", "204", "gzip", "reset-at-once"]
)
def test_a_dead_announced_link_means_asking_for_a_new_one(
    target: MakeTarget, provider: HostileProvider, dead: str
) -> None:
    assert fetch(target("photo", url=provider.url(dead), minutes=1))[1] == BODY
    assert [request.path for request in provider.received()] == [
        f"/link/{dead}",
        "/v25.0/photo",
        "/link/photo",
    ]


def test_a_dead_link_is_closed_before_the_next_one_is_opened(
    target: MakeTarget, provider: HostileProvider
) -> None:
    fetch(target("photo", url=provider.url("404"), minutes=1))
    assert provider.connections == 1


def test_a_link_that_asks_to_slow_down_is_heeded(
    target: MakeTarget, provider: HostileProvider
) -> None:
    with pytest.raises(ThrottledError):
        fetch(target("photo", url=provider.url("429"), minutes=1))
    assert len(provider.received()) == 1


def test_the_token_does_not_go_to_an_announced_host_that_is_not_metas(
    target: MakeTarget, elsewhere: HostileProvider
) -> None:
    assert fetch(target("photo", url=elsewhere.url("photo"), minutes=1))[1] == BODY
    assert elsewhere.connections == 0


def test_the_token_does_not_go_to_a_resolved_host_that_is_not_metas(
    target: MakeTarget, provider: HostileProvider, elsewhere: HostileProvider
) -> None:
    provider.links = elsewhere.base
    with pytest.raises(RefusedAddressError):
        fetch(target("photo"))
    assert elsewhere.connections == 0


def test_a_dead_link_without_an_id_is_gone(
    target: MakeTarget, provider: HostileProvider
) -> None:
    with pytest.raises(GoneError):
        fetch(target(url=provider.url("404"), minutes=1))


def test_a_media_id_stays_one_part_of_the_path(
    target: MakeTarget, provider: HostileProvider
) -> None:
    with pytest.raises(SourceError):
        fetch(target("a/../b?c#d"))
    assert provider.received()[0].path == "/v25.0/a%2F..%2Fb%3Fc%23d"


# --- what the Graph API says of a file --------------------------------------------


@pytest.mark.parametrize(
    "sha256", [DIGEST.hexdigest(), base64.b64encode(DIGEST.digest()).decode()]
)
def test_the_digest_may_be_hex_or_base64(
    target: MakeTarget, provider: HostileProvider, sha256: str
) -> None:
    provider.facts = {"sha256": sha256}
    assert fetch(target("photo"))[0].sha256 == DIGEST.hexdigest()


@pytest.mark.parametrize(
    ("said", "size"),
    [("4100", 4100), (4100, 4100), ("many", len(BODY)), (None, len(BODY))],
)
def test_the_size_may_be_a_number_or_text(
    target: MakeTarget, provider: HostileProvider, said: object, size: int
) -> None:
    provider.facts = {"file_size": said}
    assert fetch(target("photo"))[0].size == size


# --- tokens -------------------------------------------------------------------------


def test_the_second_token_is_taken_when_the_first_is_refused(
    target: MakeTarget, provider: HostileProvider, hub: Settings
) -> None:
    hub.META_ACCESS_TOKEN = ["hush-new", "hush-old"]
    provider.refused = {"Bearer hush-new"}
    assert fetch(target("photo"))[1] == BODY
    assert (
        provider.received("/link/photo")[0].headers["authorization"]
        == "Bearer hush-old"
    )


def test_all_tokens_refused_is_unauthorized(
    target: MakeTarget, provider: HostileProvider, hub: Settings
) -> None:
    hub.META_ACCESS_TOKEN = ["hush-new", "hush-old"]
    provider.refused = {"Bearer hush-new", "Bearer hush-old"}
    with pytest.raises(UnauthorizedError):
        fetch(target("photo"))
    assert len(provider.received()) == 2


def test_no_token_is_unauthorized_and_says_where_to_set_one(
    target: MakeTarget, provider: HostileProvider, hub: Settings
) -> None:
    hub.META_ACCESS_TOKEN = []
    with pytest.raises(UnauthorizedError, match="META_ACCESS_TOKEN"):
        fetch(target("photo", url=provider.url("photo"), minutes=1))
    assert provider.connections == 0


# --- refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("api-401", UnauthorizedError),
        ("api-token", UnauthorizedError),
        ("api-error-200", UnauthorizedError),
        ("api-gone", GoneError),
        ("api-404", GoneError),
        ("api-403", ForbiddenError),
        ("api-permission", ForbiddenError),
        ("api-permission-200", ForbiddenError),
        ("api-429", ThrottledError),
        ("api-throttled", ThrottledError),
        ("api-throttled-403", ThrottledError),
        ("api-500", UnavailableError),
        ("api-503", UnavailableError),
        ("api-204", UnavailableError),
        ("api-304", UnavailableError),
        ("api-400", UnavailableError),
        ("api-parameter", UnavailableError),
        ("api-html", UnavailableError),
        ("api-list", UnavailableError),
        ("api-no-url", UnavailableError),
        ("api-nested", UnavailableError),
        ("api-huge", UnavailableError),
        ("401", UnavailableError),
        ("403", UnavailableError),
        ("404", UnavailableError),
        ("410", UnavailableError),
    ],
)
def test_each_refusal_has_its_meaning(
    target: MakeTarget, behaviour: str, error: type[SourceError]
) -> None:
    with pytest.raises(error) as caught:
        fetch(target(behaviour))
    assert type(caught.value) is error
    # Graph quotes the token in its own message.
    assert "hush" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("behaviour", ["api-429", "api-throttled"])
def test_the_graph_api_may_say_for_how_long_to_slow_down(
    target: MakeTarget, behaviour: str
) -> None:
    with pytest.raises(ThrottledError) as caught:
        fetch(target(behaviour))
    assert caught.value.retry_after == timedelta(seconds=7)


def test_the_text_tells_staff_what_the_link_answered(target: MakeTarget) -> None:
    with pytest.raises(UnavailableError, match=r"^The link answered 403\.$"):
        fetch(target("403"))


def test_the_graph_api_leads_nowhere_else(
    target: MakeTarget,
    provider: HostileProvider,
    elsewhere: HostileProvider,
    hub: Settings,
) -> None:
    provider.target = elsewhere.url("photo")
    hub.META_MEDIA_HOSTS = [provider.host, elsewhere.host]
    with pytest.raises(UnavailableError):
        fetch(target("api-redirect"))
    assert elsewhere.connections == 0


def test_a_dripping_api_is_cut_too(target: MakeTarget) -> None:
    with pytest.raises(UnavailableError, match="longer than"):
        fetch(target("api-drip"), seconds=0.3)
