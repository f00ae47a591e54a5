"""Announced files become rows, before anything is fetched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Greatest

from media_app import identity, retry, tombstones
from media_app.filetypes import extension_for
from media_app.inserts import insert_once
from media_app.models import Media
from media_app.sources import source


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """One file, as its source describes it."""

    source: str
    account: str
    provider_media_id: str
    provider_message_id: str
    position: int
    owner: str
    occurred_at: datetime
    time_assumed: bool
    #: When we received the announcement.
    announced_at: datetime
    content_type: str = ""
    sha256: str = ""
    size: int | None = None
    filename: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    #: When the provider deletes it; None: its lifetime counts from ``occurred_at``.
    expires_at: datetime | None = None
    #: Why the source can't pass the file on, or "". Such a file is never fetched.
    not_passed_on: str = ""

    @property
    def id(self) -> UUID:
        return identity.media_id(
            source=self.source,
            account=self.account,
            provider_media_id=self.provider_media_id,
            provider_message_id=self.provider_message_id,
            position=self.position,
        )

    def as_row(self) -> Media:
        expires_at = self._expires_at()
        return Media(
            id=self.id,
            source=self.source,
            account=self.account,
            provider_media_id=self.provider_media_id,
            provider_message_id=self.provider_message_id,
            position=self.position,
            owner=self.owner,
            occurred_at=self.occurred_at,
            time_assumed=self.time_assumed,
            key=identity.media_key(
                owner=self.owner,
                occurred_at=self.occurred_at,
                index=self.position,
                id=self.id,
                extension=extension_for(self.content_type),
            ),
            announced_type=self.content_type[:200],
            announced_sha256=self.sha256,
            announced_size=self.size,
            announced_at=self.announced_at,
            filename=self.filename[:255],
            details=dict(self.details),
            url=self.url,
            expires_at=expires_at,
            give_up_at=retry.give_up_at(self.announced_at, expires_at),
            **self._outcome(),
        )

    def _outcome(self) -> dict[str, str]:
        if not self.not_passed_on:
            return {"state": Media.State.PENDING}
        return {
            "state": Media.State.REJECTED,
            "failure": Media.Failure.NOT_PASSED_ON,
            "last_error": f"The provider could not pass it on: {self.not_passed_on}",
        }

    def _expires_at(self) -> datetime | None:
        if self.not_passed_on:
            # Nothing can be fetched any more.
            return None
        lifetime = source(self.source).lifetime
        if self.expires_at is None and lifetime is not None:
            return self.occurred_at + lifetime
        return self.expires_at


def announce(
    announcements: Sequence[Announcement], *, new: Collection[UUID] = ()
) -> set[UUID]:
    """Make a pending row for each file, in the caller's transaction. Returns the ids of those that
    get none, because they were erased. Those in ``new`` all get one: their message was not erased.

    A file that is already known keeps its row: owner, time and key are those of its
    first announcement. Those in ``new`` (ids) are of a new message. Where they are expired,
    rejected, missing or deleted they are pending again: with the link of this message and what it
    says of the file, and for as long as the provider keeps what it announced.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("call announce() in the transaction that saves the message")
    rows: dict[UUID, Media] = {}
    for announcement in announcements:
        rows.setdefault(announcement.id, announcement.as_row())
    tombstones.remove(new)
    erased = tombstones.erased(rows.keys() - new)
    insert_once(
        [row for id, row in rows.items() if id not in erased], no_op_update="source"
    )
    revivable = Media.objects.filter(id__in=new, state__in=Media.REVIVABLE)
    for id in set(revivable.values_list("id", flat=True)):
        again = rows[id]
        described = {
            "announced_sha256": again.announced_sha256,
            "announced_size": again.announced_size,
            "announced_type": again.announced_type,
        }
        known = {
            name: value for name, value in described.items() if value not in ("", None)
        }
        Media.objects.filter(id=id).revive(
            url=again.url,
            announced_at=again.announced_at,
            expires_at=again.expires_at,
            give_up_at=Greatest("give_up_at", again.give_up_at),
            **known,
        )
    return erased
