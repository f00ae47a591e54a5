from __future__ import annotations

from django.apps import AppConfig


class MediahubConfig(AppConfig):
    name = "mediahub"
