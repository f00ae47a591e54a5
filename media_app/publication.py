"""Whether a file has a public copy, where, and what to do about it: pure rules over rows.

A public file has a copy in a bucket of its own, which everybody may read, under a random name.
``public_copies`` makes and removes these copies.
"""

from __future__ import annotations

from enum import StrEnum

from django.conf import settings

from media_app.models import Media


class Step(StrEnum):
    COPY = "copy"
    REMOVE = "remove"


def public_bucket() -> str:
    """The bucket for public copies; "" where nothing is published.

    It is a bucket beside the one of the files, with an address: in the same bucket everything would
    be public.
    """
    own = settings.STORAGES["media"].get("OPTIONS", {}).get("bucket_name", "")
    named: str = settings.R2_PUBLIC_BUCKET
    if not settings.R2_PUBLIC_URL or not own or named == own:
        return ""
    return named


def next_step(media: Media, bucket: str) -> Step | None:
    """What to do about the public copy of a file that no worker has claimed; None: nothing.

    ``bucket`` is ``public_bucket()``. A key without a complete copy is what a worker left that was
    stopped, and a copy from before the file was stored again may be of other bytes: both are
    removed, a new copy gets a new key. ``public_copies.due`` says the same in SQL.
    """
    is_wanted = bool(bucket) and media.is_public and media.is_stored
    if not media.public_key:
        return Step.COPY if is_wanted else None
    is_complete = bool(
        media.published_at and media.stored_at and media.published_at >= media.stored_at
    )
    if is_wanted and is_complete and media.public_bucket == bucket:
        return None
    return Step.REMOVE


def public_address(media: Media) -> str:
    """Where everybody can read the file; "" where there is no complete public copy of it."""
    if not media.public_key or next_step(media, public_bucket()) is not None:
        return ""
    return f"{settings.R2_PUBLIC_URL}/{media.public_key}"
