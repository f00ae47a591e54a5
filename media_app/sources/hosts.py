"""Which hosts may be called, and at which addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from media_app.sources.errors import RefusedAddressError, UnavailableError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# RFC 6052: how a network without IPv4 spells IPv4 addresses.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """An address that may be called."""

    host: str
    port: int
    #: Whether the operator named this very address: it may lie in our own network, then.
    private: bool = False
    #: Whether the operator named the host, or an outsider chose it.
    listed: bool = False

    def refuse_network(self) -> NoReturn:
        """Raise what a host in a forbidden network means."""
        text = f"{self.host} lies in a network that this hub may not call."
        if self.listed:
            # A provider's host in our own network is a fault of name service, and passes.
            raise UnavailableError(text)
        raise RefusedAddressError(text)


class Hosts:
    """Which hosts may be called.

    An entry ``fbsbx.com`` stands for the host and its subdomains, https on port 443,
    at public addresses. An entry ``host:port`` is allowed as it stands, plain http and
    private addresses included; so is the operator's own ``base`` URL, in its scheme.
    ``anywhere`` adds all hosts, on the terms of the first kind.
    Raises ValueError for an entry or a base that is not a valid one.
    """

    def __init__(
        self, entries: Iterable[str] = (), *, base: str = "", anywhere: bool = False
    ) -> None:
        self._anywhere = anywhere
        self._names: set[str] = set()
        self._exact: set[tuple[str, str, int]] = set()
        for entry in entries:
            parts = urlsplit(f"//{entry}")
            host, port = parts.hostname or "", parts.port
            if port is not None and "@" not in entry:
                self._exact |= {(scheme, host, port) for scheme in _DEFAULT_PORTS}
            elif _NAME.fullmatch(entry.lower()):
                self._names.add(host)
            else:
                raise ValueError(f"{entry!r} is neither a host nor host:port")
        if base:
            try:
                self._exact.add(address_of(base))
            except RefusedAddressError as error:
                raise ValueError(f"{base!r} can't be called: {error}") from None

    def permit(self, url: str) -> Permit:
        """Raises RefusedAddressError."""
        scheme, host, port = address_of(url)
        if (scheme, host, port) in self._exact:
            return Permit(host=host, port=port, private=True, listed=True)
        listed = any(host == name or host.endswith(f".{name}") for name in self._names)
        if (scheme, port) == ("https", 443) and (listed or self._anywhere):
            return Permit(host=host, port=port, listed=listed)
        raise RefusedAddressError(
            f"{scheme}://{host}:{port} is not an address that this hub may call."
        )


def address_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL.

    Raises RefusedAddressError for what is not a valid one, or carries a user name.
    """
    # Parsers disagree about these characters: another one might read another host.
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise RefusedAddressError(
            "The address has characters that do not belong in one."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RefusedAddressError("The address can't be read.") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise RefusedAddressError("The address is not one of the web.")
    if "@" in parts.netloc:
        raise RefusedAddressError("The address carries a user name.")
    if not all(0 < len(label) < 64 for label in parts.hostname.split(".")):
        raise RefusedAddressError("The address names no possible host.")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    return parts.scheme, parts.hostname, port


def is_public(address: str) -> bool:
    """Whether a numeric address lies on the public internet: not private, loopback, link-local or
    special.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.sixtofour
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is None:
            return ip in _GLOBAL_UNICAST and ip.is_global
        ip = embedded
    return ip.is_global and not ip.is_multicast and not ip.is_reserved
