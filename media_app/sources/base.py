"""The contract of a source: how files are opened at their provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, Self

from django.core.checks import CheckMessage

from media_app.sources.deadline import Deadline
from media_app.sources.http import Response


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchTarget:
    """Which file to open, in the terms of its source."""

    account: str
    provider_media_id: str
    #: The message that announced it first.
    provider_message_id: str
    #: Its place in that message.
    position: int
    #: The link that came with the announcement, or "".
    url: str
    #: How long ago the announcement reached us, by the database's clock: that old is its link.
    age: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedFile:
    """A file being read from its source, with what the source says of it."""

    #: The body as it arrives. Raises SourceError subclasses when it breaks off or the deadline
    #: passes.
    chunks: Iterator[bytes]
    content_type: str
    #: The length announced by the source, or None.
    size: int | None
    #: The hex digest announced by the source, or "".
    sha256: str
    #: Whether the transfer marks its own end (Content-Length or a last chunk). If it
    #: does not, a body that was cut looks like one that ended.
    delimited: bool = False

    @classmethod
    def arriving(
        cls,
        response: Response,
        *,
        content_type: str = "",
        size: int | None = None,
        sha256: str = "",
    ) -> Self:
        """The body of a response; the arguments are what the source states elsewhere."""
        if size is None:
            size = response.size
        return cls(
            chunks=response.chunks,
            content_type=response.headers.get("Content-Type") or content_type,
            size=size,
            sha256=sha256,
            delimited=response.delimited,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """What staff are told of a source when its account is paused."""

    name: str
    #: What it calls an account.
    account: str = "account"
    #: What it may refuse …
    credentials: str = "the credentials"
    #: … and the setting to change then.
    setting: str = "new ones"


class Source(Protocol):
    """How the files of one provider are opened."""

    #: The name that rows carry: part of each file's identity, never to be changed.
    name: str
    wording: Wording
    #: Whether it may announce a file some seconds before it has it.
    announces_early: bool
    #: The setting with the address of its API, or "".
    api_setting: str

    def check_credentials(self) -> list[CheckMessage]:
        """What is wrong with its credentials, for Django's system check."""

    @property
    def lifetime(self) -> timedelta | None:
        """How long the provider keeps a file after its message; None: until it is deleted there."""

    def open(
        self, target: FetchTarget, deadline: Deadline
    ) -> AbstractContextManager[OpenedFile]:
        """Open the file. Raises SourceError subclasses; leaving the context closes the
        connection.
        """
