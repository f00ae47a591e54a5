"""What storages do to a hub. A storage that fails is never taken for one that lacks the file."""

from __future__ import annotations

import copy
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from botocore.config import Config
from pytest_django import Settings

from media_app import installation, spool
from media_app.ingest import flow
from media_app.models import Media
from media_app.sources import Deadline
from media_app.spool import Spool
from media_app.storage import S3Storage, StorageError, media_storage
from media_app.storage.base import MARKER
from mediahub.storages import s3_storage
from simulator.processes import Process
from tests.faults.hub import Hub
from tests.faults.proxy import FaultProxy
from tests.media.browser import Browser
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.sources.calls import BODY
from tests.waiting import until

pytestmark = [pytest.mark.django_db]

State = Media.State
LARGE = BODY + bytes(5 * 1024 * 1024)
LIMIT = 8 * 1024 * 1024


@pytest.fixture
def proxy(rclone: Process) -> Iterator[FaultProxy]:
    port = int(rclone.argv[rclone.argv.index("--addr") + 1].rpartition(":")[2])
    with FaultProxy(port) as proxy:
        yield proxy


@pytest.fixture
def bucket(
    db: None, proxy: FaultProxy, settings: Settings, tmp_path: Path
) -> Iterator[Path]:
    """The hub's bucket, behind the proxy; the folder that its server keeps it in."""
    with connected(settings, proxy, seconds=60):
        installation.check(media_storage())
        yield tmp_path / "buckets" / "media"


@contextmanager
def connected(
    settings: Settings, proxy: FaultProxy, *, seconds: float
) -> Iterator[None]:
    """The hub waits so long for each answer of its bucket, and asks once."""
    before = settings.STORAGES
    storages = copy.deepcopy(before)
    storages["media"] = s3_storage(
        bucket="media",
        key_id=S3_KEY_ID,
        secret=S3_SECRET,
        region="us-east-1",
        endpoint=f"http://127.0.0.1:{proxy.port}",
    )
    options = storages["media"]["OPTIONS"]
    once = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=seconds,
        read_timeout=seconds,
    )
    options["client_config"] = options["client_config"].merge(once)
    settings.STORAGES = storages
    storage = media_storage()
    assert isinstance(storage, S3Storage)
    try:
        yield
    finally:
        storage.client.close()
        settings.STORAGES = before


def photo(hub: Hub) -> Media:
    """A photo that Meta announced with its digest, as it does."""
    return hub.announce(
        "meta",
        "photo",
        sha256=sha256(hub.cdn.body).hexdigest(),
        provider_message_id="wamid.1",
    )


def kept(bucket: Path) -> dict[str, bytes]:
    """All objects, as the server's own disk has them; what it left of a put that it died in is
    none.
    """
    hidden = (".rclone_temp_put_", MARKER)
    files = (
        path
        for path in bucket.rglob("*")
        if path.is_file() and not path.name.startswith(hidden)
    )
    return {str(path.relative_to(bucket)): path.read_bytes() for path in files}


# --- the whole storage ---------------------------------------------------------------


@contextmanager
def faulty(proxy: FaultProxy, fault: str) -> Iterator[None]:
    proxy.fault = fault
    yield
    proxy.fault = ""


@contextmanager
def stopped(rclone: Process, settings: Settings, proxy: FaultProxy) -> Iterator[None]:
    """It takes connections, and says nothing."""
    os.kill(rclone.pid, signal.SIGSTOP)
    # Its threads stop one after the other; one of them might still answer.
    os.waitpid(rclone.pid, os.WUNTRACED)
    try:
        with connected(settings, proxy, seconds=0.2):
            yield
    finally:
        os.kill(rclone.pid, signal.SIGCONT)


@contextmanager
def killed(rclone: Process) -> Iterator[None]:
    rclone.kill()
    yield
    rclone.start()


@contextmanager
def without_bucket(bucket: Path) -> Iterator[None]:
    """The bucket's name leads nowhere."""
    bucket.rename(bucket.with_name("elsewhere"))
    yield
    bucket.with_name("elsewhere").rename(bucket)


OUTAGES = ["500", "503", "403", "404", "reset", "lost answer"]
OUTAGES += ["stopped", "killed", "without bucket"]


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_storage_that_is_down_is_waited_for_and_never_taken_for_empty(
    hub: Hub,
    bucket: Path,
    proxy: FaultProxy,
    rclone: Process,
    viewer: Browser,
    settings: Settings,
    outage: str,
) -> None:
    there = photo(hub)
    assert hub.fetch().state == State.STORED
    waiting = hub.announce("url", "photo", content_type="image/jpeg")
    asked = hub.requests()
    outages = {
        "stopped": stopped(rclone, settings, proxy),
        "killed": killed(rclone),
        "without bucket": without_bucket(bucket),
    }
    with outages.get(outage) or faulty(proxy, outage):
        row = hub.fetch()
        assert (row.id, row.state) == (waiting.id, State.RETRYING)
        assert row.last_error.startswith("the bucket, ")
        assert viewer.get(f"/media/{there.id}/").status_code == 503
        assert viewer.get(f"/media/{there.id}/preview/").status_code == 503
    assert hub.requests() == asked
    there.refresh_from_db()
    assert there.state == State.STORED
    assert hub.fetch().state == State.STORED
    assert kept(bucket) == {there.key: BODY, waiting.key: BODY}
    assert viewer.get(f"/media/{there.id}/").body == BODY


# --- a put ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_a_put_that_fails_is_made_again(
    hub: Hub, bucket: Path, proxy: FaultProxy, fault: str
) -> None:
    media = photo(hub)
    proxy.methods = {"PUT"}
    with faulty(proxy, fault):
        for _ in range(3):
            row = hub.fetch()
            assert (row.state, kept(bucket)) == (State.RETRYING, {})
            assert row.last_error.startswith("the bucket, put: ")
    assert hub.fetch().state == State.STORED
    assert kept(bucket) == {media.key: BODY}


def test_a_put_whose_answer_is_lost_is_found_and_neither_fetched_nor_put_again(
    hub: Hub, bucket: Path, proxy: FaultProxy
) -> None:
    media = photo(hub)
    proxy.methods = {"PUT"}
    with faulty(proxy, "lost answer"):
        assert hub.fetch().state == State.RETRYING
    written = (bucket / media.key).stat().st_mtime_ns
    asked = hub.requests()
    assert hub.fetch().state == State.STORED
    assert (hub.requests(), kept(bucket)) == (asked, {media.key: BODY})
    assert (bucket / media.key).stat().st_mtime_ns == written


def test_a_server_that_is_killed_in_the_middle_of_a_put_leaves_nothing_wrong(
    hub: Hub, bucket: Path, proxy: FaultProxy, rclone: Process
) -> None:
    hub.api.body = hub.cdn.body = LARGE
    media = photo(hub)
    proxy.at_bytes = (len(LARGE) // 2, rclone.kill)
    assert hub.fetch().state == State.RETRYING
    # The proxy's thread may still wait for its end.
    until(lambda: not rclone.is_running())
    rclone.start()
    assert hub.fetch().state == State.STORED
    assert kept(bucket) == {media.key: LARGE}


def test_a_put_that_is_too_slow_ends_at_the_deadline_and_is_made_again(
    hub: Hub, bucket: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than the sockets on the way take in: when the deadline comes, the rest has not been read.
    hub.api.body = hub.cdn.body = BODY + bytes(24 * 1024 * 1024)
    media = photo(hub)
    deadline = Deadline(600)
    proxy.at_bytes = (1024 * 1024, lambda: deadline.cut("The time is up."))
    with monkeypatch.context() as patch:
        patch.setattr(flow, "Deadline", lambda seconds: deadline)
        row = hub.fetch()
    # The server may not have cleared up yet what it had of it, under another name.
    assert (row.state, (bucket / media.key).exists()) == (State.RETRYING, False)
    assert row.last_error == "Keeping the file was cut short: The time is up."
    assert hub.fetch().state == State.STORED


# --- an object -----------------------------------------------------------------------


def test_an_object_that_cannot_be_read_is_neither_adopted_nor_fetched_over(
    hub: Hub, bucket: Path, proxy: FaultProxy
) -> None:
    """Listed, but every read of it fails: nobody knows yet if it is right."""
    media = photo(hub)
    (bucket / media.key).parent.mkdir()
    (bucket / media.key).write_bytes(BODY)
    asked = hub.requests()
    proxy.methods = {"HEAD"}
    with faulty(proxy, "503"):
        assert hub.fetch().state == State.RETRYING
    assert hub.requests() == asked
    assert hub.fetch().state == State.STORED
    assert hub.requests() == asked


def test_an_object_that_comes_too_slowly_is_read_no_longer_than_the_deadline(
    hub: Hub, bucket: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.api.body = hub.cdn.body = LARGE
    media = photo(hub)
    (bucket / media.key).parent.mkdir()
    (bucket / media.key).write_bytes(LARGE)
    asked = hub.requests()
    # To read it takes at least eight seconds.
    proxy.pause = 0.1
    with monkeypatch.context() as patch:
        patch.setattr(flow, "FETCH_DEADLINE_SECONDS", 1)
        row = hub.fetch()
    assert (row.state, hub.requests()) == (State.RETRYING, asked)
    assert row.last_error.startswith("Keeping the file was cut short: ")
    proxy.pause = 0
    assert hub.fetch().state == State.STORED
    assert hub.requests() == asked


# --- a full disk -----------------------------------------------------------------------


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow past the limit: writing answers EFBIG where a full disk would say ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("in_memory", "reason"),
    [(spool.IN_MEMORY, "The disk for files on their way: "), (4 * LIMIT, "the disk: ")],
)
def test_a_full_disk_is_ours_to_mend(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    media_root: Path,
    in_memory: int,
    reason: str,
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    hub.api.body = hub.cdn.body = BODY + bytes(LIMIT)
    media = photo(hub)
    with full_disk():
        for _ in range(3):
            row = hub.fetch()
            assert (row.state, hub.objects()) == (State.RETRYING, {})
            assert row.last_error.startswith(reason)
    downloads = [path for path in hub.requests() if path.startswith("/link/")]
    assert len(downloads) == 1
    assert {path.name for path in media_root.rglob("*") if path.is_file()} == {MARKER}
    row = hub.fetch()
    assert (row.state, hub.objects()) == (State.STORED, {media.key: hub.cdn.body})


def test_a_disk_that_is_full_at_the_last_byte_is_full() -> None:
    with (
        full_disk(),
        pytest.raises(StorageError, match="disk"),
        Spool(2 * LIMIT) as kept,
    ):
        kept.fill([bytes(LIMIT), b"the last bytes wait in a buffer"])
