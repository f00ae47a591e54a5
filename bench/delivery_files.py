"""The files that the benchmark serves, put where the hub keeps its own; runs in the hub's
environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from media_app.models import Media
from media_app.signing import Disposition, Link, token
from media_app.storage import DiskStorage, media_storage
from tests.media.files import announcement, keep

_DAY = timedelta(days=1)
_BLOCK = 8 * 1024 * 1024


def keep_files(sizes: Mapping[str, int]) -> None:
    """Store one file of each size, in the bucket and below MEDIA_ROOT as well.

    Prints as JSON a superuser's ``session`` and ``files``: for each name its path, token, key,
    sha256, and the bucket's own ``link``.
    """
    files = {name: _keep(size) for name, size in sizes.items()}
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    print(json.dumps({"session": client.cookies["sessionid"].value, "files": files}))


def _keep(size: int) -> dict[str, str]:
    given = announcement(content_type="video/mp4")
    keep(given)
    lease = Media.objects.claim()
    assert lease is not None and lease.media.id == given.id
    key, bucket = lease.media.key, media_storage()
    block = os.urandom(min(size, _BLOCK))
    digest = sha256()
    with TemporaryFile() as body:
        for begin in range(0, size, len(block)):
            piece = block[: size - begin]
            body.write(piece)
            digest.update(piece)
        for storage in (bucket, DiskStorage(Path(settings.MEDIA_ROOT))):
            storage.put(key, body, size=size, content_type="video/mp4", metadata={})
    Media.objects.mark_stored(
        lease,
        key=key,
        sha256=digest.hexdigest(),
        size=size,
        content_type="video/mp4",
        type_differs=False,
    )
    media = Media.objects.get(id=given.id)
    return {
        "path": reverse("media", args=[media.id]),
        "token": token(media, Link(Disposition.INLINE, media.announced_at + _DAY)),
        "key": key,
        "sha256": media.sha256,
        "link": bucket.url(key, int(_DAY.total_seconds())) or "",
    }
