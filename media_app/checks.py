"""Settings that can't work are found at start, not with the first photo."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from redis import Redis

_MAKE_KEY = (
    "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"
)
# The largest object that one PUT may carry, on S3 as on R2.
_LARGEST_PUT = 5 * 1024**3


@register
def check_storage(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A bucket needs a name and credentials."""
    options = settings.STORAGES["media"].get("OPTIONS", {})
    names = {
        "bucket_name": "bucket",
        "access_key": "access key id",
        "secret_key": "secret access key",
    }
    missing = [
        word
        for option, word in names.items()
        if option in options and not options[option]
    ]
    if not missing:
        return []
    backend = settings.MEDIA_STORAGE_BACKEND
    return [
        Error(
            f"MEDIA_STORAGE_BACKEND is {backend}, but there is no {' and no '.join(missing)}.",
            hint=f"Set the {'AWS_…' if backend == 's3' else 'R2_…'} names of .env.example.",
            id="media_app.E001",
        )
    ]


@register
def check_addresses(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Addresses that the hub calls have a scheme and a host."""
    options = settings.STORAGES["media"].get("OPTIONS", {})
    endpoint = (
        "R2_ENDPOINT"
        if settings.MEDIA_STORAGE_BACKEND == "r2"
        else "AWS_S3_ENDPOINT_URL"
    )
    addresses = {
        endpoint: options.get("endpoint_url") or "",
        "META_GRAPH_URL": settings.META_GRAPH_URL,
        "TWILIO_API_URL": settings.TWILIO_API_URL,
    }
    messages: list[CheckMessage] = []
    for name, url in addresses.items():
        if not url:
            continue
        if url == "https://.r2.cloudflarestorage.com":
            text, hint = (
                "MEDIA_STORAGE_BACKEND is r2, but there is no account.",
                "Set R2_ACCOUNT_ID, or R2_ENDPOINT.",
            )
        elif not is_address(url):
            text, hint = (
                f"{name} is not an address: {url!r}.",
                "Write it with its scheme, as https://host.",
            )
        else:
            continue
        messages.append(Error(text, hint=hint, id="media_app.E007"))
    return messages


def is_address(url: str) -> bool:
    """Whether this is ``https://host`` or ``http://host``, with a port and a path or without."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        return False


@register
def check_metadata_keys(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A key that is none would fail each put."""
    for key in settings.MEDIA_METADATA_KEYS:
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    "MEDIA_METADATA_KEYS has a key that is not a Fernet key.",
                    hint=f'Make one: python -c "{_MAKE_KEY}"',
                    id="media_app.E002",
                )
            ]
    return []


@register
def check_queue(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The queue's address must be one."""
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


@register
def check_largest_file(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """What is taken in must fit into one PUT."""
    if 0 < settings.MEDIA_MAX_BYTES <= _LARGEST_PUT:
        return []
    return [
        Error(
            "MEDIA_MAX_BYTES must be between 1 and 5 GiB, the most that one PUT to a bucket "
            "may carry.",
            id="media_app.E003",
        )
    ]


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


@register
def check_delivery(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Who sends the bytes must have them, and links must open something."""
    messages: list[CheckMessage] = []
    if settings.LINK_TTL_SECONDS < 1:
        messages.append(
            Error(
                "LINK_TTL_SECONDS must be at least 1: links would open nothing.",
                id="media_app.E005",
            )
        )
    public = settings.R2_PUBLIC_URL
    if public and not urlsplit(public).netloc:
        messages.append(
            Error(
                f"R2_PUBLIC_URL is not an address: {public!r}.",
                hint="Write it with its scheme: https://cdn.example.com",
                id="media_app.E006",
            )
        )
    messages += _public_bucket()
    if settings.MEDIA_DELIVERY == "accel" and (closed := _closed_folder()):
        messages.append(
            Warning(
                f"MEDIA_DELIVERY is accel, but only its owner may enter {closed}: nginx can "
                "send no file from there.",
                hint="Give the group of nginx's user access to it (chgrp www-data, chmod "
                "g+x), and set UMask=0027.",
                id="media_app.W005",
            )
        )
    if (
        settings.MEDIA_DELIVERY == "redirect"
        and settings.MEDIA_STORAGE_BACKEND == "local"
    ):
        messages.append(
            Warning(
                "MEDIA_DELIVERY is redirect, but a local folder has no address of its own: "
                "the web process streams.",
                id="media_app.W003",
            )
        )
    elif settings.MEDIA_DELIVERY == "redirect" and not settings.MEDIA_METADATA_KEYS:
        messages.append(
            Warning(
                "MEDIA_DELIVERY is redirect, and the bucket tells each viewer what it knows "
                "of a file, its sender too.",
                hint="Set MEDIA_METADATA_KEYS, so that it is encrypted.",
                id="media_app.W004",
            )
        )
    return messages


def _public_bucket() -> list[CheckMessage]:
    """Copies of public files need a bucket of their own, beside the one of all files, and an
    address.
    """
    bucket, url = settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL
    own = settings.STORAGES["media"].get("OPTIONS", {}).get("bucket_name", "")
    if bucket and bucket == own:
        return [
            Error(
                f"R2_PUBLIC_BUCKET is {bucket}, the bucket that all files are kept in: "
                "everybody could read each.",
                hint="Make another bucket for the public copies, and close this one to the public.",
                id="media_app.E008",
            )
        ]
    if bool(bucket) == bool(url) and (own or not bucket):
        return []
    if bucket and url:
        text = (
            "R2_PUBLIC_BUCKET is set, but the files are kept in a folder: none can be "
            "made public."
        )
    else:
        there, missing = (
            ("R2_PUBLIC_BUCKET", "R2_PUBLIC_URL")
            if bucket
            else ("R2_PUBLIC_URL", "R2_PUBLIC_BUCKET")
        )
        text = f"{there} is set, {missing} is not: no file can be made public."
    hint = (
        "Files marked public are copied into R2_PUBLIC_BUCKET, which everybody may read at "
        "R2_PUBLIC_URL."
    )
    return [Warning(text, hint=hint, id="media_app.W007")]


def _closed_folder() -> Path | None:
    """The first folder on the way to the local files, themselves included, that only its owner may
    enter.
    """
    if settings.MEDIA_STORAGE_BACKEND != "local":
        return None
    root = Path(settings.MEDIA_ROOT).absolute()
    for folder in (*reversed(root.parents), root):
        try:
            mode = folder.stat().st_mode
        except OSError:
            return None
        if not mode & (stat.S_IXGRP | stat.S_IXOTH):
            return folder
    return None
