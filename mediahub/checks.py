"""What a server that others reach should have, and this one has not: for ``check --deploy``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

from media_app.checks import is_address
from mediahub import env
from messages_app.providers import PROVIDERS


@register
def check_public_url(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The address that the outside calls is one."""
    if is_address(settings.PUBLIC_URL):
        return []
    text = f"PUBLIC_URL is not an address: {settings.PUBLIC_URL!r}."
    return [
        Error(
            text,
            hint="Write it with its scheme, as https://hub.example.com.",
            id="mediahub.E001",
        )
    ]


@register(Tags.security, deploy=True)
def check_outside(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The outside reaches the hub by a host that it answers to, over https."""
    parts = urlsplit(settings.PUBLIC_URL)
    messages: list[CheckMessage] = []
    if parts.scheme == "http":
        text = (
            "PUBLIC_URL begins with http://: passwords, cookies and links are sent for "
            "all to read."
        )
        hint = "Set up TLS (docs/operations.md) and write https:// there."
        messages.append(Warning(text, hint=hint, id="mediahub.W001"))
    host = parts.hostname
    if host and ":" in host:
        host = f"[{host}]"
    if host and not validate_host(host, settings.ALLOWED_HOSTS):
        text = f"ALLOWED_HOSTS lacks {host}, the host of PUBLIC_URL: the hub answers it with 400."
        hint = f"Set ALLOWED_HOSTS={','.join([host, *settings.ALLOWED_HOSTS])}"
        messages.append(Warning(text, hint=hint, id="mediahub.W002"))
    return messages


@register(Tags.security, deploy=True)
def check_port(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The web server can listen."""
    try:
        env.listening_address()
    except ImproperlyConfigured as error:
        return [Error(f"{error}", id="mediahub.E002")]
    return []


@register(Tags.security, deploy=True)
def check_providers(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Somebody's webhooks are accepted."""
    names = [provider.signature_setting for provider in PROVIDERS.values()]
    if any(any(getattr(settings, name)) for name in names):
        return []
    text = f"Neither {' nor '.join(names)} is set: every webhook is refused."
    return [
        Warning(text, hint="README.md says where to find them.", id="mediahub.W003")
    ]


@register(Tags.security, deploy=True)
def check_defaults(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Where data is kept was decided by somebody."""
    messages: list[CheckMessage] = []
    if not _is_set("DATABASE_URL"):
        text = (
            "DATABASE_URL is not set: everything is kept in an SQLite file in the "
            "project's folder."
        )
        hint = "Set DATABASE_URL=postgres://…, or sqlite:////path if one machine is enough."
        messages.append(Warning(text, hint=hint, id="mediahub.W004"))
    if settings.MEDIA_STORAGE_BACKEND == "local" and not _is_set("MEDIA_ROOT"):
        text = "MEDIA_ROOT is not set: all files are kept in the project's folder."
        hint = (
            "Set MEDIA_STORAGE_BACKEND and its names, or MEDIA_ROOT to a folder that is "
            "backed up."
        )
        messages.append(Warning(text, hint=hint, id="mediahub.W005"))
    return messages


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))
