"""Settings of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from redis import Redis


@register
def check_queue(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """REDIS_URL must be a valid address."""
    try:
        Redis.from_url(settings.REDIS_URL).close()
    except ValueError as error:
        return [
            Error(f"REDIS_URL is not an address of Redis: {error}", id="media_app.E004")
        ]
    return []


@register(Tags.security, deploy=True)
def check_redis_password(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A Redis that other machines reach asks for a password: whoever can write there can stop the
    work.
    """
    try:
        with Redis.from_url(settings.REDIS_URL) as redis:
            options = redis.connection_pool.connection_kwargs
    except ValueError:
        return []
    if (
        options.get("password")
        or "path" in options
        or _is_local(str(options.get("host", "localhost")))
    ):
        return []
    return [
        Warning(
            f"REDIS_URL leads to {options['host']} without a password: whoever reaches that "
            "Redis can stop all work.",
            hint="Set a password there (requirepass, or an ACL), and write "
            "redis://:password@host:6379/0.",
            id="media_app.W006",
        )
    ]


def _is_local(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
