"""The HTTP client, against a provider that does everything wrong."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pytest import MonkeyPatch

from media_app.outbound import retry_after
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    RefusedAddressError,
    SourceError,
    UnavailableError,
    WrongBytesError,
)
from media_app.sources.hosts import Hosts
from media_app.sources.http import Response, get
from tests.sources.behaviours import BEHAVIOURS
from tests.sources.calls import BODY
from tests.sources.certificate import self_signed
from tests.sources.hostile import HostileProvider

CREDENTIALS = "Bearer hush-hush"


@pytest.fixture
def hosts(provider: HostileProvider) -> Hosts:
    return Hosts([provider.host])


def read(
    url: str, hosts: Hosts, deadline: Deadline | None = None, authorization: str = ""
) -> bytes:
    deadline = deadline or Deadline(60)
    with get(
        url, hosts=hosts, deadline=deadline, authorization=authorization
    ) as response:
        return b"".join(response.chunks)


@contextmanager
def opened(provider: HostileProvider, name: str) -> Iterator[Response]:
    with get(
        provider.url(name), hosts=Hosts([provider.host]), deadline=Deadline(60)
    ) as response:
        yield response


# --- transfers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "delimited"),
    [
        ("photo", len(BODY), True),
        ("chunked", None, True),
        ("close-delimited", None, False),
    ],
)
def test_a_body_comes_whole(
    provider: HostileProvider, name: str, size: int | None, delimited: bool
) -> None:
    with opened(provider, name) as response:
        assert (response.status, response.size, response.delimited) == (
            200,
            size,
            delimited,
        )
        assert b"".join(response.chunks) == BODY


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("truncated", UnavailableError, "broke off"),
        ("truncated-chunked", UnavailableError, "broke off"),
        ("truncated-in-a-chunk", UnavailableError, "broke off"),
        ("reset-mid-body", UnavailableError, "broke off"),
        ("reset-at-once", UnavailableError, "could not be reached"),
        ("garbage", UnavailableError, "could not be reached"),
        ("gzip", WrongBytesError, "compressed"),
        ("gzip-transfer", WrongBytesError, "compressed"),
        ("redirect-metadata", RefusedAddressError, r"169\.254\.169\.254"),
        ("redirect-user", RefusedAddressError, "user name"),
        ("redirect-file", RefusedAddressError, "not one of the web"),
        ("redirect-loop", UnavailableError, "redirect"),
    ],
)
def test_a_broken_answer_is_an_error_that_names_no_link(
    provider: HostileProvider,
    hosts: Hosts,
    name: str,
    error: type[SourceError],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as caught:
        read(provider.url(name), hosts, authorization=CREDENTIALS)
    told = "".join(traceback.format_exception(caught.value))
    assert "/link/" not in told
    assert "hush" not in told


def test_no_link_is_logged(
    provider: HostileProvider, hosts: Hosts, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert read(provider.url("malformed-header"), hosts) == BODY
    assert "/link/" not in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.1:1", "mediahub.invalid"])
def test_a_host_where_nobody_listens_is_unavailable(host: str) -> None:
    with pytest.raises(UnavailableError, match="could not be reached"):
        read(f"https://{host}/", Hosts([host]))


def test_credentials_that_can_not_be_sent_are_not_told(
    provider: HostileProvider, hosts: Hosts
) -> None:
    for token in ("Bearer hush\n", "Bearer hush-€"):
        with pytest.raises(UnavailableError) as caught:
            read(provider.url("photo"), hosts, authorization=token)
        assert "hush" not in "".join(traceback.format_exception(caught.value))
    assert provider.received() == []


# --- the deadline -------------------------------------------------------------------

WITHOUT_END = [name for name in BEHAVIOURS if name.startswith(("drip-", "endless"))]


@pytest.mark.parametrize("name", [*WITHOUT_END, "slow-headers", "stalled-body"])
def test_nothing_outlives_its_deadline(
    provider: HostileProvider, hosts: Hosts, name: str
) -> None:
    with pytest.raises(UnavailableError, match=r"longer than 0\.25 s"):
        read(provider.url(name), hosts, Deadline(0.25))


DRIPPING = ["drip-headers", "drip-close-delimited", "stalled-body"]


@pytest.mark.parametrize("name", [*DRIPPING, "slow-headers", "TLS handshake"])
def test_a_fetch_can_be_cut_from_another_thread(
    provider: HostileProvider, hosts: Hosts, name: str
) -> None:
    deadline, url = Deadline(30), provider.url(name)
    is_tls = name == "TLS handshake"
    if is_tls:
        url = f"https://{provider.host}/"

    def lose_the_lease() -> None:
        if is_tls:
            provider.wait_connected()
        else:
            provider.wait_received(name)
        deadline.cut("Another worker has the file.")

    thread = threading.Thread(target=lose_the_lease)
    thread.start()
    with pytest.raises(UnavailableError, match="Another worker"):
        read(url, hosts, deadline)
    thread.join()


def test_a_deadline_leaves_no_thread_behind(
    provider: HostileProvider, hosts: Hosts
) -> None:
    before = set(threading.enumerate())
    for _ in range(20):
        read(provider.url("photo"), hosts, Deadline(30))
    timers = [
        each for each in threading.enumerate() if isinstance(each, threading.Timer)
    ]
    for timer in set(timers) - before:
        timer.join(60)
        assert not timer.is_alive()


# --- redirects and credentials --------------------------------------------------------


def test_credentials_go_to_the_first_host_only(
    provider: HostileProvider, elsewhere: HostileProvider
) -> None:
    provider.target = elsewhere.url("photo")
    hosts = Hosts([provider.host, elsewhere.host])
    assert read(provider.url("redirect"), hosts, authorization=CREDENTIALS) == BODY
    assert provider.received()[0].headers["authorization"] == CREDENTIALS
    assert "authorization" not in elsewhere.received()[0].headers


def test_credentials_do_not_come_back_with_the_redirect(
    provider: HostileProvider, elsewhere: HostileProvider
) -> None:
    provider.target = elsewhere.url("redirect")
    elsewhere.target = provider.url("photo")
    hosts = Hosts([provider.host, elsewhere.host])
    with get(
        provider.url("redirect"),
        hosts=hosts,
        deadline=Deadline(60),
        authorization=CREDENTIALS,
    ) as response:
        assert not response.authorized
    assert "authorization" not in provider.received("/photo")[0].headers


def test_credentials_stay_on_the_way_within_one_host(
    provider: HostileProvider, hosts: Hosts
) -> None:
    assert read(provider.url("redirect-here"), hosts, authorization=CREDENTIALS) == BODY
    assert provider.received("/photo")[0].headers["authorization"] == CREDENTIALS


def test_the_endless_body_of_a_redirect_is_not_read(
    provider: HostileProvider, elsewhere: HostileProvider
) -> None:
    provider.target = elsewhere.url("photo")
    hosts = Hosts([provider.host, elsewhere.host])
    assert read(provider.url("redirect-endless"), hosts) == BODY
    assert provider.wait_hung_up(provider.received()[0])


def test_three_redirects_are_followed_and_no_more(
    provider: HostileProvider, hosts: Hosts
) -> None:
    with pytest.raises(UnavailableError):
        read(provider.url("redirect-loop"), hosts)
    assert len(provider.received()) == 4


def test_neither_netrc_nor_a_proxy_variable_is_minded(
    provider: HostileProvider, hosts: Hosts, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert read(provider.url("photo"), hosts) == BODY
    assert "authorization" not in provider.received()[0].headers


def test_a_request_says_who_asks_and_wants_the_bytes_as_they_are(
    provider: HostileProvider, hosts: Hosts
) -> None:
    read(provider.url("photo"), hosts)
    headers = provider.received()[0].headers
    assert headers["user-agent"] == "mediahub"
    assert headers["accept-encoding"] == "identity"


# --- connections ------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["photo", "chunked", "404", "redirect-here"])
def test_connections_are_kept_alive(
    provider: HostileProvider, hosts: Hosts, first: str
) -> None:
    read(provider.url(first), hosts)
    read(provider.url("photo"), hosts)
    assert provider.connections == 1


@pytest.mark.parametrize("first", ["photo-once", "photo-once-then-reset"])
def test_a_kept_connection_that_was_closed_costs_nothing(
    provider: HostileProvider, hosts: Hosts, first: str
) -> None:
    read(provider.url(first), hosts)
    assert read(provider.url("photo"), hosts) == BODY
    assert provider.connections == 2


def test_a_new_connection_that_is_closed_is_the_answer(
    provider: HostileProvider, hosts: Hosts
) -> None:
    read(provider.url("photo-once"), hosts)
    with pytest.raises(UnavailableError):
        read(provider.url("reset-at-once"), hosts)
    # Once on the kept connection, which did not come to reading it, and once on a new one.
    assert len(provider.received("reset-at-once")) == 1


def test_what_follows_an_answer_without_a_body_is_no_answer(
    provider: HostileProvider, hosts: Hosts
) -> None:
    read(provider.url("204-and-a-body"), hosts)
    assert read(provider.url("photo"), hosts) == BODY
    assert len(provider.received("photo")) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_worker_makes_connections_of_its_own(
    provider: HostileProvider, hosts: Hosts
) -> None:
    read(provider.url("photo"), hosts)
    child = os.fork()
    if child == 0:
        os._exit(0 if read(provider.url("photo"), hosts) == BODY else 1)
    assert os.waitpid(child, 0)[1] == 0
    read(provider.url("photo"), hosts)
    assert [request.connection for request in provider.received()] == [0, 1, 0]


# --- names ------------------------------------------------------------------------------


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name service: what each name resolves to, and under "asked" what was asked for."""
    known: dict[str, list[str]] = {"asked": []}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in known:
            return list(real(host, port, *args, **kwargs))
        known["asked"].append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in known[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_a_name_is_looked_up_once_so_no_second_answer_can_differ(
    provider: HostileProvider, names: dict[str, list[str]]
) -> None:
    names["photos.example"] = ["127.0.0.1"]
    host = provider.host.replace("127.0.0.1", "photos.example")
    assert read(f"http://{host}/link/photo", Hosts([host])) == BODY
    assert names["asked"] == ["photos.example"]


def test_a_dead_address_of_a_host_gives_way_to_the_next(
    provider: HostileProvider, names: dict[str, list[str]]
) -> None:
    names["photos.example"] = ["127.0.0.2", "127.0.0.1"]
    host = provider.host.replace("127.0.0.1", "photos.example")
    assert read(f"http://{host}/link/photo", Hosts([host])) == BODY


def test_a_fetch_that_was_cut_asks_for_nothing_more(
    names: dict[str, list[str]],
) -> None:
    names["photos.example"] = ["127.0.0.1"]
    deadline = Deadline(30)
    deadline.cut("Another worker has the file.")
    with pytest.raises(UnavailableError, match="Another worker"):
        read("http://photos.example:9/", Hosts(["photos.example:9"]), deadline)
    assert names["asked"] == []


# --- TLS --------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "certificate.pem")


@pytest.fixture
def secure(certificate: Path) -> Iterator[HostileProvider]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with HostileProvider(tls=context) as provider:
        yield provider


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    secure: HostileProvider,
) -> None:
    with pytest.raises(UnavailableError, match="certificate") as caught:
        read(secure.url("photo"), Hosts([secure.host]), authorization=CREDENTIALS)
    assert secure.received() == []
    assert "/link/" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("trusted")
def test_tls_connections_are_kept_alive_too(secure: HostileProvider) -> None:
    for _ in range(2):
        assert read(secure.url("photo"), Hosts([secure.host])) == BODY
    assert secure.connections == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", DRIPPING)
def test_nothing_outlives_its_deadline_by_tls(
    secure: HostileProvider, name: str
) -> None:
    with pytest.raises(UnavailableError, match=r"longer than 0\.25 s"):
        read(secure.url(name), Hosts([secure.host]), Deadline(0.25))


# --- slowing down -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("86400", 3600),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2999 00:00:00 GMT", 3600),
    ],
)
def test_a_provider_may_ask_for_up_to_an_hour(text: str, seconds: int) -> None:
    assert retry_after(text) == timedelta(seconds=seconds)


def test_a_provider_may_ask_until_a_time_of_day() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=60))
    asked = retry_after(moment)
    assert asked is not None
    assert timedelta(seconds=50) < asked <= timedelta(seconds=60)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "٣", "1.5", "Fri, 01 Jan 99999999999999999999 00:00:00 GMT"],
)
def test_an_unreadable_wish_is_none(text: str) -> None:
    assert retry_after(text) is None
