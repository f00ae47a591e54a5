"""The sections of the admin: the sidebar and the front page show them in this order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """The list of one model's rows."""

    title: str
    #: A name of Material Symbols.
    icon: str
    app: str
    model: str
    #: What is there, for the front page; "" where only the sidebar leads there.
    about: str = ""


SECTIONS = (
    Section(
        "Media",
        "perm_media",
        "media_app",
        "media",
        "Every photo, video, voice note and document",
    ),
    Section(
        "Messages",
        "chat",
        "messages_app",
        "message",
        "What was said, with its files in place",
    ),
    Section(
        "Sessions",
        "photo_library",
        "messages_app",
        "photosession",
        "Photos sent for one purpose, until DONE",
    ),
    Section(
        "Replies",
        "forward_to_inbox",
        "messages_app",
        "outboxitem",
        "What the hub said, and what became of it",
    ),
    Section(
        "Contacts",
        "group",
        "messages_app",
        "contact",
        "Who wrote, from which numbers",
    ),
    Section(
        "Deliveries",
        "move_to_inbox",
        "messages_app",
        "delivery",
        "What providers sent, byte for byte",
    ),
    Section(
        "Quarantine",
        "report",
        "messages_app",
        "quarantineditem",
        "What could not be read, to be replayed",
    ),
    Section("Notices", "info", "messages_app", "deliverynotice"),
    Section("Rebuilds", "sync_problem", "messages_app", "sessionrebuild"),
    Section("Erasures", "person_remove", "messages_app", "erasurerequest"),
    Section("Commands", "terminal", "media_app", "commandrun"),
)
