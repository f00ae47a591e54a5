"""The settings of who sends the bytes of files (MEDIA_DELIVERY), and of the links to them."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


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
    elif bucket:
        text = (
            "R2_PUBLIC_BUCKET is set, R2_PUBLIC_URL is not: no file can be made public."
        )
    else:
        text = (
            "R2_PUBLIC_URL is set, R2_PUBLIC_BUCKET is not: no file can be made public."
        )
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
