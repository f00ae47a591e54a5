from __future__ import annotations

from django.apps import AppConfig


class MessagesConfig(AppConfig):
    name = "messages_app"
    verbose_name = "Messages"

    def ready(self) -> None:
        from media_app.purge import about_to_purge
        from messages_app import checks, retention  # noqa: F401

        about_to_purge.connect(
            retention.keep_held, dispatch_uid="messages_app.keep_held"
        )
