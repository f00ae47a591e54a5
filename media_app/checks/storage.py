"""Settings of the storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from media_app.sources import SOURCES

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
    names = {"r2": "R2_ENDPOINT", "s3": "AWS_S3_ENDPOINT_URL"}
    endpoint = names.get(settings.MEDIA_STORAGE_BACKEND, "AWS_S3_ENDPOINT_URL")
    addresses = {
        endpoint: options.get("endpoint_url") or "",
        **{
            each.api_setting: getattr(settings, each.api_setting)
            for each in SOURCES.values()
            if each.api_setting
        },
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
    """With a key that is not valid each put would fail."""
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
def check_largest_file(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The largest accepted file must fit into one PUT."""
    if 0 < settings.MEDIA_MAX_BYTES <= _LARGEST_PUT:
        return []
    return [
        Error(
            "MEDIA_MAX_BYTES must be between 1 and 5 GiB, the most that one PUT to a bucket "
            "may carry.",
            id="media_app.E003",
        )
    ]
