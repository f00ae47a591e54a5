"""Files on every stage of their way: announced, fetched from real servers, kept in a real
folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import requests
from django.contrib.auth.models import Permission, User
from mypy_boto3_s3 import S3Client
from pytest_django import Settings
from redis import Redis

from media_app import installation, queues
from media_app.filetypes import base_type
from media_app.ingest import flow
from media_app.models import Media
from media_app.storage import media_storage
from mediahub.storages import s3_storage
from simulator.content import Kind, content
from simulator.processes import free_port
from simulator.provider import SimulatedProvider
from tests.media.browser import Browser
from tests.media.bucket import Bucket
from tests.media.files import (
    PHOTO,
    Announced,
    Sent,
    Stored,
    announcement,
    claimed,
    keep,
    mark_stored,
)
from tests.servers import S3_KEY_ID, S3_SECRET, redis_server
from tests.sources.calls import SECRET
from tests.sources.hostile import HostileProvider
from tests.storage.buckets import put


@pytest.fixture
def announced(db: None) -> Announced:
    """A file that was announced in these words, waiting to be fetched."""

    def make(**words: object) -> Media:
        given = announcement(**words)
        keep(given)
        return Media.objects.get(id=given.id)

    return make


@pytest.fixture
def provider(provider: SimulatedProvider) -> Iterator[SimulatedProvider]:
    """The simulated one; what a test did to it ends with the test."""
    provider.downloads.clear()
    yield provider
    provider.down = provider.unauthorised = False
    provider.expired.clear()
    provider.clock_offset = 0.0


@pytest.fixture
def sent(announced: Announced, provider: SimulatedProvider) -> Sent:
    """A file that the simulated provider really has, announced as that vendor does."""
    seeds = count(1)

    def make(source: str = "meta", kind: Kind = Kind.PHOTO, **words: object) -> Media:
        seed = next(seeds)
        file = content(kind, seed)
        id = provider.media_id_for(kind, seed, source)
        said: dict[str, object] = {
            "source": source,
            "provider_media_id": id,
            "content_type": file.content_type,
        }
        if source == "twilio":
            said |= {
                "account": provider.accounts.twilio_account_sid,
                "url": provider.twilio_media_url(id),
            }
        else:
            said |= {"sha256": file.sha256}
        return announced(**{**said, **words})

    return make


@pytest.fixture
def hostile(settings: Settings) -> Iterator[HostileProvider]:
    """An address of the web that answers as badly as it is asked to, and is Meta's API, too."""
    with HostileProvider() as provider:
        settings.META_MEDIA_HOSTS = [provider.host]
        settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = provider.base, [SECRET]
        yield provider


@pytest.fixture
def bucket(media_root: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The folder that ingest puts into, with points to step in at."""
    bucket = Bucket(media_root)
    monkeypatch.setattr(flow, "media_storage", lambda: bucket)
    return bucket


@pytest.fixture
def stored(announced: Announced) -> Stored:
    """A file that lies in the bucket and whose row says so."""

    def make(body: bytes, content_type: str = "image/jpeg", **words: object) -> Media:
        installation.check(media_storage())
        media = announced(content_type=content_type, **words)
        lease = claimed()
        assert lease.media == media
        put(media_storage(), media.key, body, content_type=base_type(content_type))
        mark_stored(lease, size=len(body), content_type=content_type)
        media.refresh_from_db()
        return media

    return make


@pytest.fixture
def photo(stored: Stored) -> Media:
    return stored(PHOTO.body)


@pytest.fixture
def s3(moto_client: S3Client) -> S3Client:
    """A strict S3 server, without the buckets of earlier tests."""
    requests.post(f"{moto_client.meta.endpoint_url}/moto-api/reset", timeout=60)
    return moto_client


@pytest.fixture
def in_a_bucket(s3: S3Client, settings: Settings) -> None:
    """The storage is a bucket."""
    s3.create_bucket(Bucket="media")
    bucket = s3_storage(
        bucket="media",
        key_id=S3_KEY_ID,
        secret=S3_SECRET,
        region="us-east-1",
        endpoint=s3.meta.endpoint_url,
    )
    settings.STORAGES = {**settings.STORAGES, "media": bucket}


@pytest.fixture
def staff(db: None) -> User:
    """Staff who may see files."""
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_media"))
    return user


@pytest.fixture
def client() -> Browser:
    return Browser()


@pytest.fixture
def viewer(staff: User, client: Browser) -> Browser:
    client.force_login(staff)
    return client


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    server = redis_server(tmp_path_factory.mktemp("redis"), port)
    server.start()
    yield port
    server.stop()


@pytest.fixture
def redis_at(settings: Settings) -> Iterator[Callable[[int], None]]:
    """Let this process use the Redis at another port."""

    def lead(port: int) -> None:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        _forget_connection()

    yield lead
    _forget_connection()


def _forget_connection() -> None:
    queues.connection().close()
    queues.connection.cache_clear()
    queues._queue.cache_clear()


@pytest.fixture
def redis(
    redis_port: int, redis_at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Redis]:
    """A real, empty Redis for this process's jobs; a busy machine may be slow."""
    monkeypatch.setattr(queues, "REDIS_TIMEOUT_SECONDS", 60)
    redis_at(redis_port)
    with Redis(port=redis_port) as connection:
        connection.flushall()
        yield connection
