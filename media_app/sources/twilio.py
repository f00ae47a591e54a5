"""Twilio: the API answers a MediaUrl with a redirect to a signed link on another host.

https://www.twilio.com/docs/messaging/api/media-resource
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from media_app.outbound import basic, first_accepted
from media_app.sources.base import FetchTarget, OpenedFile, Wording
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    UnauthorizedError,
    UnavailableError,
)
from media_app.sources.hosts import Hosts, address_of
from media_app.sources.http import Response, get

_API_HOST = re.compile(r"api(\.[a-z0-9-]+)*\.twilio\.com")
_MEDIA_PATH = re.compile(
    r"/2010-04-01/Accounts/(?P<account>\w+)/Messages/\w+/Media/[\w-]+", re.ASCII
)


class TwilioSource:
    """Files of WhatsApp messages that came by Twilio."""

    name = "twilio"
    wording = Wording(
        name="Twilio",
        setting="TWILIO_AUTH_TOKEN (or TWILIO_API_KEY and TWILIO_API_SECRET)",
    )
    announces_early = True
    api_setting = "TWILIO_API_URL"

    def check_credentials(self) -> list[CheckMessage]:
        account = settings.TWILIO_ACCOUNT_SID
        token = settings.TWILIO_AUTH_TOKEN
        has_login = account and (token or settings.TWILIO_API_SECRET)
        if has_login or not (account or token):
            return []
        text = (
            "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN belong together; one of them is "
            "missing."
        )
        return [Warning(text, id="media_app.W002")]

    # Twilio keeps media until they are deleted there.
    lifetime: timedelta | None = None

    @contextmanager
    def open(self, target: FetchTarget, deadline: Deadline) -> Iterator[OpenedFile]:
        """Open ``target.url``, the MediaUrl of the webhook. Raises SourceError subclasses."""
        with ExitStack() as stack:
            yield OpenedFile.arriving(_open(target, deadline, stack))


def _open(target: FetchTarget, deadline: Deadline, stack: ExitStack) -> Response:
    url = _api_url(target)
    if url is None:
        # A link that needs no credentials, or an address that the hosts refuse.
        hosts = Hosts(settings.TWILIO_MEDIA_HOSTS)
        return _opened(
            stack.enter_context(get(target.url, hosts=hosts, deadline=deadline))
        )
    hosts = Hosts(
        [*settings.TWILIO_MEDIA_HOSTS, "api.twilio.com"], base=settings.TWILIO_API_URL
    )

    def open_with(authorization: str) -> Response:
        # The answer to credentials that were refused, if there is one.
        stack.close()
        answer = get(url, hosts=hosts, deadline=deadline, authorization=authorization)
        return _opened(stack.enter_context(answer))

    nothing_set = UnauthorizedError(
        "Neither TWILIO_AUTH_TOKEN nor TWILIO_API_KEY with TWILIO_API_SECRET is set."
    )
    return first_accepted(credentials(), open_with, nothing_set)


def _api_url(target: FetchTarget) -> str | None:
    """The address of this file at the API, if our credentials may go there; else None.

    Raises UnauthorizedError when it is not said whose credentials ours are, ForbiddenError when
    they are another account's.
    """
    scheme, host, port = address_of(target.url)
    path = urlsplit(target.url).path
    media = _MEDIA_PATH.fullmatch(path)
    configured = address_of(settings.TWILIO_API_URL)
    at_twilio = (scheme, port) == ("https", 443) and _API_HOST.fullmatch(
        host
    ) is not None
    if media is None or not (at_twilio or (scheme, host, port) == configured):
        return None
    if not settings.TWILIO_ACCOUNT_SID:
        raise UnauthorizedError("TWILIO_ACCOUNT_SID is not set.")
    for account in (media["account"], target.account):
        if account != settings.TWILIO_ACCOUNT_SID:
            raise ForbiddenError(
                f"The file belongs to the Twilio account AC…{account[-4:]}; "
                "TWILIO_ACCOUNT_SID is another one."
            )
    if at_twilio and not _API_HOST.fullmatch(configured[1]):
        return f"{settings.TWILIO_API_URL}{path}"
    return target.url


def credentials() -> list[str]:
    """The Authorization headers to try: an API key's secrets, or the account's own tokens, never
    mixed.
    """
    if settings.TWILIO_API_KEY and settings.TWILIO_API_SECRET:
        return [
            basic(settings.TWILIO_API_KEY, secret)
            for secret in settings.TWILIO_API_SECRET
        ]
    return [
        basic(settings.TWILIO_ACCOUNT_SID, token)
        for token in settings.TWILIO_AUTH_TOKEN
    ]


def _opened(response: Response) -> Response:
    """The response, if it brings the file. Else raises what it means: only the API knows whether a
    file is there.
    """
    who = "Twilio's API" if response.authorized else "The link"
    response.raise_if_busy(who)
    if response.status == 200:
        return response
    what = f"{who} answered {response.status}."
    if response.authorized and response.status == 401:
        raise UnauthorizedError(
            f"{what} The credentials of TWILIO_ACCOUNT_SID are refused."
        )
    if response.authorized and response.status == 403:
        raise ForbiddenError(what)
    if response.authorized and response.status in {404, 410}:
        raise GoneError(f"{what} It does not have the file.")
    raise UnavailableError(what)
