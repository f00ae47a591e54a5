"""What belongs to one person, as queries: all that is erased, and nothing of others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from media_app.clock import just_after
from media_app.identity import (
    PREVIEWS,
    RCS,
    SMS,
    WHATSAPP,
    owner_prefix,
    scheme_of,
)
from media_app.models import Media, MediaQuerySet
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Message,
    MessageStatus,
    PhotoSession,
)
from messages_app.providers.owners import is_number

# The channels where an address is a telephone number: the same number is the same person.
_NUMBERED = (WHATSAPP, SMS, RCS)


def owners_of(owner: str) -> list[str]:
    """All owners of the person: those of their contacts, and their numbers on every channel."""
    owners, before = {owner}, set[str]()
    while owners != before:
        before = set(owners)
        owners |= {other for each in before for other in _same_number(each)}
        contacts = ContactOwner.objects.filter(owner__in=owners).values("contact")
        same = ContactOwner.objects.filter(contact__in=contacts)
        owners |= set(same.values_list("owner", flat=True))
    return sorted(owners)


def _same_number(owner: str) -> Iterable[str]:
    scheme = scheme_of(owner)
    if not is_number(owner) or scheme not in _NUMBERED:
        return ()
    address = owner.removeprefix(scheme)
    return (f"{each}{address}" for each in _NUMBERED)


@dataclass(frozen=True)
class Person:
    """Somebody who is erased, and until when: what reached the hub later is new, and stays."""

    owners: tuple[str, ...]
    until: datetime

    @cached_property
    def contacts(self) -> QuerySet[Contact]:
        owners = ContactOwner.objects.filter(owner__in=self.owners)
        return Contact.objects.filter(id__in=owners.values("contact"))

    @property
    def is_held(self) -> bool:
        return self.contacts.filter(is_held=True).exists()

    @cached_property
    def _contact_ids(self) -> list[UUID]:
        return list(self.contacts.values_list("id", flat=True))

    def messages(self) -> QuerySet[Message]:
        """All that they said and were told."""
        unnamed = Q(contact=None, owner__in=self.owners)
        return Message.objects.filter(
            Q(contact__in=self._contact_ids) | unnamed,
            received_at__lt=just_after(self.until),
        )

    def later_messages(self) -> QuerySet[Message]:
        return Message.objects.filter(contact__in=self._contact_ids).exclude(
            id__in=self.messages().values("id")
        )

    def files(self) -> MediaQuerySet:
        """The files that nobody else sent or got."""
        return self._concerned().filter(~Exists(self._kept_attachments()))

    def shared_files(self) -> MediaQuerySet:
        """Files under their prefixes that are in a message which stays, too; also those that only
        another's message announced again meanwhile.
        """
        in_theirs = Attachment.objects.filter(
            media=OuterRef("pk"), message__contact__in=self._contact_ids
        )
        concerned = Q(id__in=self._concerned().values("id"))
        return Media.objects.filter(
            concerned | ~Exists(in_theirs),
            Exists(self._kept_attachments()),
            owner__in=self.owners,
        )

    def _concerned(self) -> MediaQuerySet:
        attached = Attachment.objects.filter(message__in=self.messages().values("id"))
        own = Q(owner__in=self.owners, announced_at__lt=just_after(self.until))
        return Media.objects.filter(own | Q(id__in=attached.values("media")))

    def _kept_attachments(self) -> QuerySet[Attachment]:
        return Attachment.objects.filter(media=OuterRef("pk")).exclude(
            message__in=self.messages().values("id")
        )

    def statuses(self, message_ids: Collection[UUID] = ()) -> QuerySet[MessageStatus]:
        """Statuses of these messages, and of what was sent to the person."""
        sent_to = Q(recipient__in=self.owners, occurred_at__lt=just_after(self.until))
        return MessageStatus.objects.filter(Q(message_id__in=message_ids) | sent_to)

    def sessions(self) -> QuerySet[PhotoSession]:
        """All sessions, also those of later messages."""
        return PhotoSession.objects.filter(contact__in=self._contact_ids)

    def prefixes(self) -> list[str]:
        """Where their objects and previews are. Former releases wrote numbers without ``+``."""
        spelled = [*self.owners, *(each.replace(":+", ":", 1) for each in self.owners)]
        folders = sorted({owner_prefix(each) for each in spelled})
        return [*folders, *(PREVIEWS + folder for folder in folders)]

    def needles(self) -> list[bytes]:
        """Bytes of which one is in all that names the person."""
        return sorted({address_of(owner).encode() for owner in self.owners})

    def is_named_in(self, text: str) -> bool:
        """Whether an address of theirs stands in the text, and not as a part of a longer number."""
        return any(
            re.search(rf"(?<![0-9]){re.escape(address_of(owner))}(?![0-9])", text)
            for owner in self.owners
        )


def address_of(owner: str) -> str:
    """The number without ``+``, or the hidden id: as all spellings have it."""
    return owner.partition(":")[2].removeprefix("+")
