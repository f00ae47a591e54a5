"""Who may be called, and at which addresses."""

from __future__ import annotations

import pytest

from media_app.sources.deadline import Deadline
from media_app.sources.errors import RefusedAddressError, UnavailableError
from media_app.sources.hosts import Hosts, Permit, is_public
from media_app.sources.http import get
from tests.sources.hostile import HostileProvider


def vendor() -> Hosts:
    return Hosts(
        ["fbsbx.com", "127.0.0.1:8001", "127.0.0.1:8003"],
        base="https://graph.example:8443/v1",
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://fbsbx.com/a",
        "https://lookaside.fbsbx.com/a?b#c",
        "https://LOOKASIDE.FBSBX.COM/a",
        "https://lookaside.fbsbx.com:443/a",
        "http://127.0.0.1:8001/a",
        "https://127.0.0.1:8001/a",
        "https://graph.example:8443/v25.0/1",
    ],
)
def test_listed_hosts_are_permitted(url: str) -> None:
    assert vendor().permit(url).listed


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com:8443/a",
        "https://lookaside.fbsbx.com:0/a",
        "https://evilfbsbx.com/a",
        "https://fbsbx.com.evil.example/a",
        "https://user@fbsbx.com/a",
        "https://user:password@fbsbx.com/a",
        "https://@fbsbx.com/a",
        "https://fbsbx.com@evil.example/a",
        "https://evil.example\\@fbsbx.com/a",
        "https://evil.example\\.fbsbx.com/a",
        "https://evil.example .fbsbx.com/a",
        "https://evil.example\n.fbsbx.com/a",
        "http://lookaside.fbsbx.com:443/a",
        "https://evil.example#@fbsbx.com/",
        "https://evil.example?@fbsbx.com/",
        "http://127.0.0.1:8002/a",
        "http://127.0.0.1/a",
        "http://graph.example:8443/a",
        "https://graph.example/a",
        "https://api.graph.example:8443/a",
        "ftp://fbsbx.com/a",
        "file:///etc/passwd",
        "https:///a",
        "https://fbsbx.com:99999/a",
        "https://[fbsbx.com/a",
        "//fbsbx.com/a",
        "fbsbx.com/a",
        "",
    ],
)
def test_every_other_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedAddressError):
        vendor().permit(url)


def test_anywhere_still_means_https_on_443() -> None:
    anywhere = Hosts(anywhere=True)
    assert anywhere.permit("https://pictures.example/a") == Permit(
        host="pictures.example", port=443
    )
    # A label may be as long; a name longer.
    assert anywhere.permit(f"https://{'a' * 63}.{'b' * 63}.example/").port == 443
    for url in (
        "http://pictures.example/a",
        "https://pictures..example/a",
        "https://pictures.example:8443/a",
        f"https://{'a' * 64}.example/",
    ):
        with pytest.raises(RefusedAddressError):
            anywhere.permit(url)


@pytest.mark.parametrize(
    "entry",
    ["https://fbsbx.com", "fbsbx.com/a", "user@fbsbx.com:1", "*.fbsbx.com", "", "a:b"],
)
def test_an_entry_that_can_not_be_meant_is_said_to_be_wrong(entry: str) -> None:
    with pytest.raises(ValueError):
        Hosts([entry])


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "8.8.8.8",
        "2606:4700::1111",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
        ),
        *(
            "169.254.169.254",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
        ),
        *(
            "::1",
            "::",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ),
        *(
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
        ),
    ],
)
def test_addresses_of_our_own_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "0x7f000001",
            "2130706433",
            "127.1",
            "0",
        ),
        *("10.0.0.1", "169.254.169.254"),
    ],
)
def test_an_outsider_can_not_lead_us_into_our_own_network(host: str) -> None:
    with (
        pytest.raises(RefusedAddressError, match="network"),
        get(f"https://{host}/", hosts=Hosts(anywhere=True), deadline=Deadline(5)),
    ):
        pass


def test_a_listed_host_that_leads_home_is_a_fault_that_passes() -> None:
    with (
        pytest.raises(UnavailableError, match="network"),
        get("https://localhost/", hosts=Hosts(["localhost"]), deadline=Deadline(5)),
    ):
        pass


class Unlisted(Hosts):
    """The terms of a public host, at any port."""

    def permit(self, url: str) -> Permit:
        return Permit(host="127.0.0.1", port=int(url.split(":")[2].split("/")[0]))


def test_a_private_address_is_not_even_connected_to(provider: HostileProvider) -> None:
    with (
        pytest.raises(RefusedAddressError),
        get(provider.url("photo"), hosts=Unlisted(), deadline=Deadline(5)),
    ):
        pass
    assert provider.connections == 0


def test_a_connection_kept_under_other_terms_is_judged_again(
    provider: HostileProvider,
) -> None:
    with get(
        provider.url("photo"), hosts=Hosts([provider.host]), deadline=Deadline(5)
    ) as response:
        response.body(10_000)
    with (
        pytest.raises(RefusedAddressError),
        get(provider.url("photo"), hosts=Unlisted(), deadline=Deadline(5)),
    ):
        pass
    assert len(provider.received()) == 1


class Misread(Hosts):
    """A parser that sees another host in a URL than the one that connects."""

    def permit(self, url: str) -> Permit:
        return Permit(host="127.0.0.1", port=1, private=True)


def test_an_address_that_is_read_in_two_ways_is_not_connected_to(
    provider: HostileProvider,
) -> None:
    with (
        pytest.raises(RefusedAddressError, match="two ways"),
        get(provider.url("photo"), hosts=Misread(), deadline=Deadline(5)),
    ):
        pass
    assert provider.connections == 0
