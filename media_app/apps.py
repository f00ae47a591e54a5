from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MediaConfig(AppConfig):
    name = "media_app"
    verbose_name = "Media"

    def ready(self) -> None:
        from media_app import checks, installation  # noqa: F401
        from media_app.allowed_jobs import forbid_pickle

        forbid_pickle()
        post_migrate.connect(
            installation.write_marker_at_migration,
            sender=self,
            dispatch_uid="media_app.mark_storage",
        )
