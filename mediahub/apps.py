from __future__ import annotations

from django.apps import AppConfig


class MediahubConfig(AppConfig):
    name = "mediahub"

    def ready(self) -> None:
        from mediahub import checks  # noqa: F401
