"""A thousand readers of one file that is not stored yet, at once."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from simulator.content import Kind, content
from simulator.hub import Hub
from simulator.provider import SimulatedProvider
from tests.hubs import running_hub

VIEWERS = 1000
SIZE = 1024 * 1024

ANNOUNCE = """
from media_app.models import Media
from media_app.signing import link
from tests.media.files import announcement, keep
given = announcement(provider_media_id={id!r}, sha256={sha256!r}, content_type={type!r})
keep(given)
print(link(Media.objects.get(id=given.id)))
"""
COUNT = """
from media_app.models import FetchAttempt, Media
print(FetchAttempt.objects.count(), Media.objects.get().state)
"""


def test_a_thousand_viewers_are_one_download_and_each_gets_the_file(
    tmp_path: Path,
) -> None:
    file = content(Kind.DOCUMENT, 1, SIZE)
    provider = SimulatedProvider()
    with running_hub(
        tmp_path, database="postgres", storage="rclone", provider=provider
    ) as hub:
        # Only viewers fetch here.
        hub.worker.stop()
        hub.sweeper.stop()
        id = provider.media_id_for(Kind.DOCUMENT, 1, size=SIZE)
        code = ANNOUNCE.format(id=id, sha256=file.sha256, type=file.content_type)
        link = hub.manage("shell", "--no-imports", "-c", code).strip()
        answers = asyncio.run(_views(hub, link))
        assert answers == Counter({(200, file.sha256): VIEWERS})
        assert provider.downloads.total() == 1
        assert hub.manage("shell", "--no-imports", "-c", COUNT).split() == [
            "1",
            "stored",
        ]


async def _views(hub: Hub, link: str) -> Counter[tuple[int, str]]:
    """The status and the body's digest of each answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(max(soft, 3 * VIEWERS), hard), hard)
    )
    parts = urlsplit(link)
    request = (
        f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: "
        "close\r\n\r\n"
    ).encode()
    return Counter(
        await asyncio.gather(*(_view(hub.port, request) for _ in range(VIEWERS)))
    )


async def _view(port: int, request: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    digest = sha256()
    while chunk := await reader.read(256 * 1024):
        digest.update(chunk)
    writer.close()
    return int(head[9:12]), digest.hexdigest()
