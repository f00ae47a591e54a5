"""Settings of the providers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_credentials(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Webhooks that are taken in announce files that must be fetched."""
    messages: list[CheckMessage] = []
    if settings.META_APP_SECRET and not settings.META_ACCESS_TOKEN:
        messages.append(
            Warning(
                "META_APP_SECRET is set, META_ACCESS_TOKEN is not: messages come in, their "
                "files can't be fetched.",
                id="media_app.W001",
            )
        )
    has_login = settings.TWILIO_ACCOUNT_SID and (
        settings.TWILIO_AUTH_TOKEN or settings.TWILIO_API_SECRET
    )
    if (settings.TWILIO_ACCOUNT_SID or settings.TWILIO_AUTH_TOKEN) and not has_login:
        messages.append(
            Warning(
                "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN belong together; one of them is missing.",
                id="media_app.W002",
            )
        )
    return messages
