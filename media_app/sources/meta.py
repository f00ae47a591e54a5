"""Meta's Cloud API: a media id leads to a link of five minutes, the link to the file.


https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from media_app.digests import digest_hex
from media_app.outbound import MAX_ANSWER, first_accepted, json_object, whole_number
from media_app.sources.base import FetchTarget, OpenedFile, Wording
from media_app.sources.deadline import Deadline
from media_app.sources.errors import (
    ForbiddenError,
    GoneError,
    SourceError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from media_app.sources.hosts import Hosts
from media_app.sources.http import Response, get

LIFETIME = timedelta(days=7)
LINK_LIFETIME = timedelta(minutes=5)

# Codes of the Graph API's errors.
_TOKEN = 190
_PARAMETER, _UNKNOWN_OBJECT = 100, 33
_THROTTLED = frozenset({4, 80007, 130429})
_PERMISSION = frozenset({3, 10, *range(200, 300)})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Resolved:
    """What the Graph API says of a media id, with the token that it accepted."""

    url: str
    token: str
    content_type: str
    size: int | None
    sha256: str


class MetaSource:
    """Files of WhatsApp messages that came by Meta's Cloud API."""

    name = "meta"
    wording = Wording(
        name="Meta",
        account="number",
        credentials="the access token",
        setting="META_ACCESS_TOKEN",
    )
    announces_early = False
    api_setting = "META_GRAPH_URL"

    def check_credentials(self) -> list[CheckMessage]:
        if not settings.META_APP_SECRET or settings.META_ACCESS_TOKEN:
            return []
        text = (
            "META_APP_SECRET is set, META_ACCESS_TOKEN is not: messages come in, their "
            "files can't be fetched."
        )
        return [Warning(text, id="media_app.W001")]

    @property
    def lifetime(self) -> timedelta | None:
        """META_MEDIA_LIFETIME_HOURS where it is set, else "Media IDs in webhooks expire after 7
        days.".
        """
        return timedelta(hours=settings.META_MEDIA_LIFETIME_HOURS) or LIFETIME

    @contextmanager
    def open(self, target: FetchTarget, deadline: Deadline) -> Iterator[OpenedFile]:
        """Open the announced link while it is fresh, else the one that the media id leads to.

        Raises SourceError subclasses; UnauthorizedError only when the Graph API itself
        refuses every token.
        """
        if not settings.META_ACCESS_TOKEN:
            raise UnauthorizedError("META_ACCESS_TOKEN is not set.")
        with ExitStack() as stack:
            opened = _open_announced(target, deadline, stack)
            if opened is None:
                found = _resolve(target.provider_media_id, deadline)
                opened = OpenedFile.arriving(
                    _open_link(found.url, found.token, deadline, stack),
                    content_type=found.content_type,
                    size=found.size,
                    sha256=found.sha256,
                )
            yield opened


def _open_announced(
    target: FetchTarget, deadline: Deadline, stack: ExitStack
) -> OpenedFile | None:
    """The link that came with the message; None when the media id has to be asked."""
    if not target.url or target.age > LINK_LIFETIME:
        return None
    try:
        return OpenedFile.arriving(
            _open_link(target.url, settings.META_ACCESS_TOKEN[0], deadline, stack)
        )
    except ThrottledError:
        raise
    except SourceError:
        stack.close()
        return None


def _open_link(url: str, token: str, deadline: Deadline, stack: ExitStack) -> Response:
    hosts = Hosts(settings.META_MEDIA_HOSTS, base=settings.META_GRAPH_URL)
    response = stack.enter_context(
        get(url, hosts=hosts, deadline=deadline, authorization=f"Bearer {token}")
    )
    response.raise_if_busy("The link")
    if response.status != 200:
        # Also a 401: links die, and one dead link says nothing of the token.
        raise UnavailableError(f"The link answered {response.status}.")
    return response


def _resolve(media_id: str, deadline: Deadline) -> _Resolved:
    """Ask the Graph API for a link, with one token after the other until one is accepted."""
    if not media_id:
        raise GoneError("The message names no media id, and its link is dead.")
    return first_accepted(
        settings.META_ACCESS_TOKEN,
        lambda token: _ask(media_id, token, deadline),
        UnauthorizedError("META_ACCESS_TOKEN is not set."),
    )


def _ask(media_id: str, token: str, deadline: Deadline) -> _Resolved:
    # Without phone_number_id: with it, files of customers are refused.
    url = f"{settings.META_GRAPH_URL}/{settings.META_GRAPH_VERSION}/{quote(media_id, safe='')}"
    hosts = Hosts(base=settings.META_GRAPH_URL)
    with get(
        url,
        hosts=hosts,
        deadline=deadline,
        authorization=f"Bearer {token}",
        redirects=0,
    ) as response:
        answer = json_object(response.body(MAX_ANSWER))
        if response.status != 200 or "error" in answer:
            raise _error(response, answer.get("error"))
    link = answer.get("url")
    if not isinstance(link, str) or not link:
        raise UnavailableError("The Graph API gave an answer that can't be read.")
    return _Resolved(
        url=link,
        token=token,
        content_type=str(answer.get("mime_type") or ""),
        size=whole_number(answer.get("file_size")),
        sha256=digest_hex(str(answer.get("sha256") or "")),
    )


def _error(response: Response, error: object) -> SourceError:
    """What a refusal of the Graph API means. Its own words stay out: they may quote the token."""
    if not isinstance(error, dict):
        error = {}
    status = response.status
    code = whole_number(error.get("code"))
    subcode = whole_number(error.get("error_subcode"))
    what = f"The Graph API answered {status}."
    if code is not None:
        what = f"The Graph API answered {status}, code {code}."
    if status == 401 or code == _TOKEN:
        return UnauthorizedError(f"{what} META_ACCESS_TOKEN is refused.")
    # Before 403 and 400, in which these codes come.
    if status == 429 or code in _THROTTLED:
        return ThrottledError(what, response.retry_after)
    if status >= 500:
        return UnavailableError(what)
    if status == 404 or (code, subcode) == (_PARAMETER, _UNKNOWN_OBJECT):
        return GoneError(f"{what} It does not have the file.")
    if status == 403 or code in _PERMISSION:
        return ForbiddenError(what)
    return UnavailableError(what)
