"""Settings of the providers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, register

from media_app.sources import SOURCES


@register
def check_credentials(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Where webhooks are accepted, their files can be fetched."""
    return [
        message for each in SOURCES.values() for message in each.check_credentials()
    ]
