"""Which files may be deleted, and which are kept no longer: what files know nothing of."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import Now

from media_app.identity import owner_of
from media_app.models import Media, MediaQuerySet
from messages_app.models import Attachment, ContactOwner, Message


def without_held(files: MediaQuerySet) -> MediaQuerySet:
    """Those of the files that no contact on hold has sent."""
    return files.exclude(_sent_by(is_held=True))


def is_held(owner: str) -> bool:
    """Whether a contact on hold has this address, as keys of this or a former release spell it."""
    spelled = {owner, owner_of(owner) or owner}
    held = ContactOwner.objects.filter(owner__in=spelled, contact__is_held=True)
    return held.exists()


def keep_held(**signal: object) -> None:
    """Before a purge: let what contacts on hold have sent wait for it once more."""
    Media.objects.filter(_sent_by(is_held=True)).wait_again()


def over(days: int) -> MediaQuerySet:
    """Stored files whose senders have been silent for so many days, and are not on hold.

    A file that several contacts sent stays for the last of them. One whose sender is no contact
    counts from when it was sent and announced. 0 days: none is over, ever.
    """
    if days == 0:
        return Media.objects.none()
    since = Now() - timedelta(days=days)
    files = Media.objects.filter(
        state=Media.State.STORED, occurred_at__lt=since, announced_at__lt=since
    )
    return without_held(files).exclude(_sent_by(last_message_at__gte=since))


def newest_message() -> datetime | None:
    """When the newest message was sent by a contact; None where there is none.

    By its provider's clock, unless no provider has told any time.
    """
    received = Message.objects.filter(direction=Message.Direction.RECEIVED)
    newest = Max("occurred_at")
    for messages in (received.filter(time_assumed=False), received):
        at: datetime | None = messages.aggregate(newest=newest)["newest"]
        if at is not None:
            return at
    return None


def _sent_by(**contact: object) -> Q:
    """Files of a contact like this: by their owner, or in a message."""
    owners = ContactOwner.objects.filter(
        owner=OuterRef("owner"),
        **{f"contact__{name}": value for name, value in contact.items()},
    )
    attachments = Attachment.objects.filter(
        media_id=OuterRef("id"),
        **{f"message__contact__{name}": value for name, value in contact.items()},
    )
    return Q(Exists(owners)) | Q(Exists(attachments))
