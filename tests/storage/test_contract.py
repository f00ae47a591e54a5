"""What every storage promises, on a folder and on two S3 servers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
import requests

from media_app.storage import (
    CHUNK,
    DiskStorage,
    ObjectExistsError,
    Storage,
    StorageError,
)
from simulator.processes import free_port
from tests.servers import rclone_server
from tests.storage.buckets import KEY, connect, keys, put, read

CONTENT = bytes(range(256)) * 4


def test_a_file_comes_back_as_it_was_put(storage: Storage) -> None:
    put(storage, content=CONTENT)
    assert read(storage) == CONTENT


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (1023, 1024),
        (1023, None),
        (100, 300),
        (1, None),
        (0, 1024),
        (1000, 9999),
        (0, 0),
        (7, 7),
    ],
)
def test_a_range_is_exactly_what_was_asked_cut_at_the_end(
    storage: Storage, start: int, stop: int | None
) -> None:
    put(storage, content=CONTENT)
    opened = storage.open_range(KEY, start, stop)
    assert opened is not None
    with closing(opened):
        assert (opened.start, opened.stop, opened.total) == (
            start,
            min(1024, 1024 if stop is None else stop),
            1024,
        )
        assert b"".join(opened.chunks()) == CONTENT[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"), [(1024, None), (1024, 1025), (5000, None), (-1, None), (3, 2)]
)
def test_a_range_that_begins_outside_the_file_is_a_mistake(
    storage: Storage, start: int, stop: int | None
) -> None:
    put(storage, content=CONTENT)
    with pytest.raises(ValueError, match="not"):
        storage.open_range(KEY, start, stop)


@pytest.mark.parametrize("stop", [None, 0, 1])
def test_an_empty_file_opens_at_its_start(storage: Storage, stop: int | None) -> None:
    put(storage, content=b"")
    opened = storage.open_range(KEY, 0, stop)
    assert opened is not None
    with closing(opened):
        assert (opened.start, opened.stop, opened.total) == (0, 0, 0)
        assert list(opened.chunks()) == []
    with pytest.raises(ValueError, match="not within"):
        storage.open_range(KEY, 1)


def test_a_large_file_arrives_in_chunks(storage: Storage) -> None:
    put(storage, content=b"x" * (2 * CHUNK + 5))
    opened = storage.open_range(KEY, 1)
    assert opened is not None
    with closing(opened):
        sizes = [len(chunk) for chunk in opened.chunks()]
    assert max(sizes) <= CHUNK
    assert sum(sizes) == 2 * CHUNK + 4


@pytest.mark.parametrize(
    "key", ["whatsapp:+1999/none.jpeg", "whatsapp:+14335551212", f"{KEY}/below"]
)
def test_what_is_not_there_is_none(storage: Storage, key: str) -> None:
    put(storage)
    assert storage.open_range(key) is None
    assert storage.open_range(key, 5, 9) is None
    assert storage.head(key) is None


def test_a_link_is_the_object_as_it_was_put_for_whoever_has_it(
    storage: Storage,
) -> None:
    put(storage, content=CONTENT)
    link = storage.url(KEY, 60)
    if isinstance(storage, DiskStorage):
        assert link is None
        return
    assert link is not None
    answer = requests.get(link, timeout=60)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_metadata_and_type_come_back(storage: Storage) -> None:
    """rclone keeps metadata in memory only: it comes back as long as the same process lives."""
    before, kind = datetime.now(UTC), "audio/ogg; codecs=opus"
    metadata = {"sha256": "ab", "record-1": "e30="}
    put(storage, content=CONTENT, content_type=kind, metadata=metadata)
    found = storage.head(KEY)
    assert found is not None
    assert (found.key, found.size, found.content_type) == (KEY, 1024, kind)
    assert found.metadata == metadata
    assert abs(found.modified - before) < timedelta(minutes=1)


def test_metadata_of_nearly_2_kb_fits(storage: Storage) -> None:
    """rclone counts the request's own x-amz headers in, and takes 1,800 bytes."""
    put(storage, metadata={"record": "x" * 1750})
    found = storage.head(KEY)
    assert found is not None
    assert found.metadata == {"record": "x" * 1750}


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "фото"},
        {"name": "a\nb"},
        {"name": " a"},
        {"Name": "a"},
        {"record": "x" * 2043},
    ],
)
def test_metadata_that_some_storage_would_change_is_refused(
    storage: Storage, metadata: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"header|lower-case|2048"):
        put(storage, metadata=metadata)
    assert storage.head(KEY) is None


@pytest.mark.parametrize("size", [6, 8])
def test_a_body_of_another_size_than_said_is_refused(
    storage: Storage, size: int
) -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        storage.put(
            KEY, BytesIO(b"a photo"), size=size, content_type="image/jpeg", metadata={}
        )
    assert storage.head(KEY) is None


def test_a_body_is_put_from_its_start(storage: Storage) -> None:
    body = BytesIO(b"a photo")
    body.read()
    storage.put(KEY, body, size=7, content_type="image/jpeg", metadata={})
    assert read(storage) == b"a photo"


def test_a_body_that_cannot_be_read_is_an_error(storage: Storage) -> None:
    class Unreadable(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(StorageError):
        storage.put(
            KEY, Unreadable(b"a photo"), size=7, content_type="image/jpeg", metadata={}
        )
    assert storage.head(KEY) is None


@pytest.mark.parametrize("kind", ["disk", "moto"])
def test_a_put_leaves_what_is_there_as_it_is(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Not on rclone: its S3 server ignores If-None-Match and replaces the object."""
    storage = request.getfixturevalue(kind)
    first = {"sha256": "first"}
    put(storage, content=b"first", content_type="image/png", metadata=first)
    with pytest.raises(ObjectExistsError):
        put(storage, content=b"second", content_type="image/gif", metadata={})
    found = storage.head(KEY)
    assert read(storage) == b"first"
    assert (found.content_type, found.metadata) == ("image/png", first)


def test_replace_changes_bytes_type_and_metadata(storage: Storage) -> None:
    old, new = {"sha256": "first", "old": "1"}, {"sha256": "second"}
    for body, kind, metadata in ((b"first", "png", old), (b"second!", "gif", new)):
        said = {"content_type": f"image/{kind}", "metadata": metadata, "replace": True}
        put(storage, content=body, **said)  # type: ignore[arg-type]
        found = storage.head(KEY)
        assert found is not None
        assert (read(storage), found.size) == (body, len(body))
        assert (found.content_type, found.metadata) == (f"image/{kind}", metadata)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "a//b",
        "a/../../b",
        "./a",
        "a/.hidden",
        "a\\b",
        "a\0b",
        "a/",
        "é" * 513,
    ],
)
def test_a_key_that_some_storage_could_not_keep_is_refused(
    storage: Storage, key: str
) -> None:
    with pytest.raises(ValueError, match="not a key"):
        put(storage, key)


def test_a_listing_is_one_sender_and_nobody_else(storage: Storage) -> None:
    theirs = ["whatsapp:+1433/2-0-b.jpeg", "whatsapp:+1433/1-0-a.jpeg"]
    for key in (*theirs, "whatsapp:+14335/1-0-c.jpeg", "whatsapp:+143/1-0-d.jpeg"):
        put(storage, key)
    found = list(storage.list("whatsapp:+1433/"))
    assert [each.key for each in found] == sorted(theirs)
    assert {(each.size, each.content_type, each.metadata) for each in found} == {
        (7, "", None)
    }
    assert all(each.modified.tzinfo for each in found)
    assert list(storage.list("whatsapp:+1999/")) == []


def test_a_listing_is_sorted_by_the_whole_key(storage: Storage) -> None:
    for key in ("a/x", "a-b/x", "a.x", "a/b/x", "a/b-x"):
        put(storage, key)
    assert keys(storage) == ["a-b/x", "a.x", "a/b-x", "a/b/x", "a/x"]


@pytest.mark.parametrize("prefix", ["whatsapp:+1433", "a/b"])
def test_a_prefix_that_is_no_folder_is_a_mistake(storage: Storage, prefix: str) -> None:
    with pytest.raises(ValueError, match="must end in '/'"):
        storage.list(prefix)


def test_over_a_thousand_objects_are_listed_and_deleted(storage: Storage) -> None:
    many = [f"whatsapp:+1433/{number:04}-0-aaaaaaaaaaaa.jpeg" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda key: put(storage, key), [*many, "whatsapp:+14335/1-0-c.jpeg"]
            )
        )
    assert keys(storage, "whatsapp:+1433/") == many
    storage.delete(key for key in many)
    assert keys(storage) == ["whatsapp:+14335/1-0-c.jpeg"]


def test_deleting_what_is_gone_is_done_already(storage: Storage) -> None:
    put(storage)
    storage.delete([KEY, "whatsapp:+1999/none.jpeg"])
    storage.delete([KEY])
    storage.delete([])
    assert storage.head(KEY) is None
    put(storage, content=b"again")
    assert read(storage) == b"again"


@pytest.fixture(scope="module", params=["disk", "server", "bucket"])
def lost(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storage]:
    """A storage that worked, and is gone."""
    tmp_path = tmp_path_factory.mktemp("lost")
    if request.param == "disk":
        disk = DiskStorage(tmp_path / "media")
        put(disk)
        shutil.rmtree(tmp_path / "media")
        yield disk
        return
    port = free_port()
    server = rclone_server(tmp_path, port)
    server.start()
    try:
        with connect(port, "media") as s3:
            s3.client.create_bucket(Bucket="media")
            put(s3)
            if request.param == "server":
                server.stop()
            else:
                shutil.rmtree(tmp_path / "buckets" / "media")
            yield s3
    finally:
        server.stop()


@pytest.mark.parametrize(
    "call",
    [
        put,
        lambda storage: storage.head(KEY),
        lambda storage: storage.open_range(KEY),
        lambda storage: storage.open_range(KEY, 3, 5),
        lambda storage: list(storage.list("whatsapp:+14335551212/")),
        lambda storage: list(storage.list("")),
        lambda storage: storage.delete([KEY]),
        lambda storage: storage.probe(1),
    ],
    ids=["put", "head", "open", "range", "list", "list all", "delete", "probe"],
)
def test_a_storage_that_is_gone_is_an_error_never_an_absent_file(
    lost: Storage, call: Callable[[Storage], object]
) -> None:
    with pytest.raises(StorageError) as raised:
        call(lost)
    assert "14335551212" not in str(raised.value)


def test_the_marker_is_no_object(storage: Storage) -> None:
    assert storage.marker() is None
    storage.write_marker("3fa9c1d2")
    assert (storage.marker(), keys(storage)) == ("3fa9c1d2", [])
    storage.write_marker("another", replace=True)
    assert storage.marker() == "another"


def test_a_marker_that_is_there_stays(disk: Storage, moto: Storage) -> None:
    # rclone replaces in any case.
    for each in (disk, moto):
        each.write_marker("ours")
        with pytest.raises(ObjectExistsError):
            each.write_marker("theirs")
        assert each.marker() == "ours"


def test_a_probe_leaves_nothing(storage: Storage) -> None:
    storage.probe(100_000)
    storage.probe(0)
    assert keys(storage) == []
