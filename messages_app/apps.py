from __future__ import annotations

from django.apps import AppConfig


class MessagesConfig(AppConfig):
    name = "messages_app"
    verbose_name = "Messages"

    def ready(self) -> None:
        from messages_app import checks  # noqa: F401
