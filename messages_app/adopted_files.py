"""Files whose rows were made again from their objects, in their messages again."""

from __future__ import annotations

from collections.abc import Sequence

from media_app.identity import computed_id
from media_app.inserts import insert_once
from media_app.models import Media
from messages_app import rebuild_requests
from messages_app.models import Attachment, Message


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
