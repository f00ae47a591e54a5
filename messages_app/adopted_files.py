"""Files whose rows are made again from their objects: not of erased people, and in their messages
again.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from media_app import installation
from media_app.identity import ERASURES, computed_id
from media_app.inserts import insert_once
from media_app.models import Media, Tombstone
from media_app.storage import media_storage
from messages_app import rebuild_requests
from messages_app.erasing import records
from messages_app.erasing.flow import check_key
from messages_app.models import Attachment, Message


def learn_of_erasures() -> None:
    """Before objects are adopted: a database that is new, or restored, does not know who was erased
    since; the storage does.

    Raises KeyMissingError where nobody can say who was, StorageError.
    """
    storage = media_storage()
    installation.check(storage)
    if settings.ERASURE_KEY:
        records.compare()
    has_erased = Tombstone.objects.exists() or any(storage.list(ERASURES))
    if has_erased:
        check_key()


def attach(files: Sequence[Media]) -> None:
    """Put each file into the message that announced it first, in the caller's transaction.

    A message that is lost as well gets its file when it is read again. So do the other messages of
    a file that several announced: its object names only the first.
    """
    places = {
        file: computed_id(file.source, file.account, file.provider_message_id)
        for file in files
    }
    messages = Message.objects.filter(id__in=places.values())
    known = set(messages.values_list("id", flat=True))
    attachments = [
        Attachment(message_id=message_id, position=file.position, media=file)
        for file, message_id in places.items()
        if message_id in known
    ]
    insert_once(attachments, no_op_update="position", on=("message_id", "position"))
    # Their sessions may have been rebuilt without the files.
    rebuild_requests.request_rebuilds(known)
