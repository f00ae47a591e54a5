"""The admin pages of conversations, and of the deliveries that they were read from."""

from messages_app.admin.contacts import ContactAdmin
from messages_app.admin.deliveries import (
    DeliveryAdmin,
    DeliveryNoticeAdmin,
    QuarantinedItemAdmin,
)
from messages_app.admin.erasures import ErasureRequestAdmin
from messages_app.admin.media import MediaWithMessagesAdmin
from messages_app.admin.messages import MessageAdmin, MessageStatusAdmin
from messages_app.admin.rebuilds import SessionRebuildAdmin
from messages_app.admin.replies import OutboxItemAdmin
from messages_app.admin.sessions import PhotoSessionAdmin

__all__ = [
    "ContactAdmin",
    "DeliveryAdmin",
    "DeliveryNoticeAdmin",
    "ErasureRequestAdmin",
    "MediaWithMessagesAdmin",
    "MessageAdmin",
    "MessageStatusAdmin",
    "OutboxItemAdmin",
    "PhotoSessionAdmin",
    "QuarantinedItemAdmin",
    "SessionRebuildAdmin",
]
