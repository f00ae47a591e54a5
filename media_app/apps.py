from __future__ import annotations

from django.apps import AppConfig


class MediaConfig(AppConfig):
    name = "media_app"
    verbose_name = "Media"

    def ready(self) -> None:
        from media_app import checks  # noqa: F401
        from media_app.allowed_jobs import forbid_pickle

        forbid_pickle()
