"""Files whose rows were made again from their objects, in their messages again."""

from __future__ import annotations

from media_app.identity import computed_id
from media_app.inserts import insert_once
from media_app.models import Media
from messages_app import rebuild_requests
from messages_app.models import Attachment, Message


def attach(media: Media) -> None:
    """Put the file into the message that announced it first, in the caller's transaction.

    A message that is lost as well gets its file when it is read again. So do the other messages of
    a file that several announced: its object names only the first.
    """
    message_id = computed_id(media.source, media.account, media.provider_message_id)
    if not Message.objects.filter(id=message_id).exists():
        return
    attachment = Attachment(message_id=message_id, position=media.position, media=media)
    insert_once([attachment], no_op_update="position", on=("message_id", "position"))
    # Its session may have been rebuilt without the file.
    rebuild_requests.request_rebuilds([message_id])
