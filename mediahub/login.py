"""Logging in, at a pace at which no password is guessed.

Wrong passwords are counted for an account at one address, and for an address; never for an account
alone, which would let anybody lock its owner out. The counts are in the database, which all
processes share.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.crypto import salted_hmac

from mediahub.models import LoginTries

log = logging.getLogger(__name__)

# A count begins with the first wrong password, and ends after so long.
WINDOW = timedelta(minutes=15)
ACCOUNT_TRIES = 10
# An office has one address for many people.
ADDRESS_TRIES = 20
# The part of an IPv6 address that belongs to one customer of a provider.
_IPV6_PREFIX = 64


def login(request: HttpRequest) -> HttpResponseBase:
    """The login page of the admin; 429 for who tried too often, whatever the password."""
    if request.method != "POST":
        return admin.site.login(request)
    address = client_address(request)
    network = _network(address)
    account_key = _key("account", request.POST.get("username", ""), network)
    # The address goes first: who is refused there adds no row for yet another account.
    keys = {_key("address", network): ADDRESS_TRIES, account_key: ACCOUNT_TRIES}
    for key, most in keys.items():
        wait = _count(key, most)
        if wait:
            log.warning(
                "a login was refused: too many wrong passwords",
                extra={"address": address},
            )
            return _refused(wait)
    response = admin.site.login(request)
    # The login page redirects whom it has let in, and nobody else.
    if response.status_code == 302:
        _forgive(keys, account_key)
    return response


def client_address(request: HttpRequest) -> str:
    """The address of whoever sent the request: of the peer, or what proxies of ours say of theirs.

    Each proxy adds its client's address to the end of X-Forwarded-For. The last one that is not a
    trusted proxy's is right; what stands before it was written by the client. "" for a unix socket
    without a proxy.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    client = _parse(peer)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while hops and (client is None or _is_trusted(client)):
        hop = _parse(hops.pop())
        if hop is None:
            break
        client = hop
    if client is None:
        return str(peer)
    return str(client)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(
        address in ip_network(network, strict=False)
        for network in settings.TRUSTED_PROXIES
    )


def _network(address: str) -> str:
    """What one attacker is counted by: an IPv4 address, or the network of an IPv6 address."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_PREFIX), strict=False))
    return address


def _key(*parts: str) -> str:
    """A digest: the database need not tell which names were typed where."""
    return salted_hmac(
        "mediahub.login", "\n".join(parts), algorithm="sha256"
    ).hexdigest()


def _count(key: str, most: int) -> timedelta | None:
    """Count one try before it is made: of those at the same time each is counted. How long to wait,
    if too many.
    """
    LoginTries.objects.bulk_create([LoginTries(key=key)], ignore_conflicts=True)
    is_over = Q(since__lte=Now() - WINDOW)
    with transaction.atomic():
        row = LoginTries.objects.filter(key=key)
        row.update(
            tries=Case(When(is_over, then=Value(1)), default=F("tries") + 1),
            since=Case(When(is_over, then=Now()), default=F("since")),
        )
        found = row.annotate(now=Now()).first()
    # None: it was over, and has just been cleared away.
    if found is None or found.tries <= most:
        return None
    return max(found.since + WINDOW - found.now, timedelta(seconds=1))


def _forgive(keys: Iterable[str], account_key: str) -> None:
    """Who knows the password starts over, and has not used up a try of the others at the
    address.
    """
    LoginTries.objects.filter(
        Q(since__lte=Now() - WINDOW) | Q(key=account_key)
    ).delete()
    LoginTries.objects.filter(key__in=keys, tries__gt=0).update(tries=F("tries") - 1)


def _refused(wait: timedelta) -> HttpResponse:
    seconds = math.ceil(wait.total_seconds())
    page = render_to_string("429.html", {"minutes": math.ceil(seconds / 60)})
    return HttpResponse(page, status=429, headers={"Retry-After": str(seconds)})
