"""The folder: what a crash, a full disk and rivals may leave behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from media_app.storage import DeleteError, DiskStorage, ObjectExistsError, StorageError
from tests.storage.buckets import KEY, keys, put, read

FOLDER = KEY.split("/")[0]

# Puts a body whose second read never returns.
STUCK_WRITER = """
import io, sys, time
from pathlib import Path
from media_app.storage.disk import DiskStorage

class Stuck(io.BytesIO):
    def read(self, size=-1):
        if self.tell():
            print("halfway", flush=True)
            time.sleep(600)
        return super().read(size)

body = Stuck(bytes(1_000_000))
DiskStorage(Path(sys.argv[1])).put(
    sys.argv[2],
    body,
    size=1_000_000,
    content_type="image/jpeg",
    metadata={"is": "new"},
    replace=sys.argv[3] == "replace",
)
"""

# Puts, and kills itself just before its n-th change of a name.
DYING_WRITER = """
import io, os, signal, sys
from pathlib import Path
from media_app.storage.disk import DiskStorage

changes = 0

def die(event, arguments):
    global changes
    if event in ("os.rename", "os.remove", "os.link"):
        changes += 1
        if changes == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

store = DiskStorage(Path(sys.argv[1]))
sys.addaudithook(die)
store.put(
    sys.argv[2],
    io.BytesIO(b"new"),
    size=3,
    content_type="image/gif",
    metadata={"is": "new"},
    replace=sys.argv[3] == "replace",
)
"""

# Puts, and loses its folder between making it and using it, as to a delete of the last object
# there.
UNLUCKY_WRITER = """
import io, os, sys
from pathlib import Path
from media_app.storage.disk import DiskStorage

lost = False

def lose(event, arguments):
    global lost
    if event == "open" and not lost and str(arguments[0]).endswith(".part"):
        lost = True
        os.rmdir(Path(arguments[0]).parent)

store = DiskStorage(Path(sys.argv[1]))
sys.addaudithook(lose)
store.put(sys.argv[2], io.BytesIO(b"new"), size=3, content_type="image/gif", metadata={})
sys.exit(not lost)
"""


def writer(program: str, disk: DiskStorage, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(disk.root), KEY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def hidden(disk: DiskStorage) -> list[str]:
    return sorted(path.name for path in disk.root.rglob(".*"))


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_writer_killed_halfway_leaves_nothing_to_see(
    disk: DiskStorage, mode: str
) -> None:
    with writer(STUCK_WRITER, disk, mode) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"halfway\n"
        process.kill()
    assert hidden(disk) != []
    assert keys(disk) == []
    assert disk.head(KEY) is None
    assert disk.open_range(KEY) is None
    put(disk)
    assert read(disk) == b"a photo"


@pytest.mark.parametrize("change", ["1", "2"])
def test_a_new_object_is_never_seen_without_its_metadata(
    disk: DiskStorage, change: str
) -> None:
    with writer(DYING_WRITER, disk, "create", change) as process:
        assert process.wait() == -signal.SIGKILL
    assert disk.head(KEY) is None
    assert hidden(disk) != []


@pytest.mark.parametrize("change", ["1", "2", "3", "4"])
def test_a_killed_replacement_never_gives_old_bytes_new_metadata(
    disk: DiskStorage, change: str
) -> None:
    put(disk, content=b"old!", metadata={"is": "old"})
    with writer(DYING_WRITER, disk, "replace", change) as process:
        assert process.wait() == -signal.SIGKILL
    found = disk.head(KEY)
    assert found is None or (found.size, found.metadata) in [
        (4, {"is": "old"}),
        (3, {"is": "new"}),
    ]


def test_a_body_that_ends_early_is_not_kept(disk: DiskStorage) -> None:
    class Short(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(5) if not self.tell() else b""

    with pytest.raises(StorageError, match="gave 5 bytes, not 10"):
        disk.put(KEY, Short(bytes(10)), size=10, content_type="image/jpeg", metadata={})
    assert keys(disk) == hidden(disk) == []


def test_a_full_disk_is_an_error_that_leaves_no_file(disk: DiskStorage) -> None:
    """A limit on file size stands for the full disk: the write fails in the same place."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        with pytest.raises(StorageError, match="the disk: File too large"):
            put(disk, content=bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert keys(disk) == hidden(disk) == []


@pytest.mark.parametrize(
    "key",
    [
        "/etc/passwd",
        "../secret",
        "a/../../secret",
        "a//b",
        "a/./b",
        "..\\secret",
        "a/.b.meta",
        "a\0b",
        "",
        "a" * 1025,
    ],
)
def test_no_key_leads_out_of_the_folder(disk: DiskStorage, key: str) -> None:
    (disk.root.parent / "secret").write_bytes(b"secret")
    put(disk, "other")
    for call in (
        disk.head,
        disk.open_range,
        lambda key: disk.delete(["other", key]),
    ):
        with pytest.raises(ValueError, match="not a key"):
            call(key)
    with pytest.raises(ValueError, match="not a key"):
        disk.list(f"{key}/")
    assert (disk.root.parent / "secret").exists()
    assert keys(disk) == ["other"]


def test_a_file_laid_there_by_hand_is_an_object_without_metadata(
    disk: DiskStorage,
) -> None:
    (disk.root / "by hand.txt").write_bytes(b"hello")
    found = disk.head("by hand.txt")
    assert found is not None
    assert (found.size, found.content_type, found.metadata) == (5, "", {})
    assert read(disk, "by hand.txt") == b"hello"
    disk.delete(["by hand.txt"])
    assert keys(disk) == []


@pytest.mark.parametrize("damage", [b"{", b"[]", b"{}", b"\xff"])
def test_damaged_metadata_is_an_error_not_an_empty_answer(
    disk: DiskStorage, damage: bytes
) -> None:
    put(disk, metadata={"sha256": "ab"})
    (sidecar,) = disk.root.rglob(".*")
    assert json.loads(sidecar.read_bytes())["metadata"] == {"sha256": "ab"}
    sidecar.write_bytes(damage)
    with pytest.raises(StorageError, match="metadata"):
        disk.head(KEY)


def test_a_delete_leaves_no_trace_of_the_owner(disk: DiskStorage) -> None:
    put(disk, f"previews/{KEY}")
    put(disk)
    put(disk, f"{FOLDER}/other")
    disk.delete([KEY, f"previews/{KEY}"])
    assert [path.name for path in disk.root.iterdir()] == [FOLDER]
    disk.delete([f"{FOLDER}/other"])
    assert list(disk.root.iterdir()) == []


def test_a_delete_names_what_remains_and_does_the_rest(disk: DiskStorage) -> None:
    """A name longer than the file system takes stands for a file that it will not delete."""
    stubborn = f"{FOLDER}/{'x' * 300}"
    put(disk)
    put(disk, "other/file")
    with pytest.raises(
        DeleteError, match="1 objects remain: File name too long"
    ) as raised:
        disk.delete([stubborn, KEY, "other/file"])
    assert raised.value.keys == (stubborn,)
    assert keys(disk) == []


def test_of_many_writers_one_wins_with_bytes_and_metadata(disk: DiskStorage) -> None:
    start = threading.Barrier(8)

    def write(number: int, key: str) -> bool:
        start.wait()
        try:
            put(disk, key, b"x" * number, metadata={"size": str(number)})
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(20):
            key = f"{FOLDER}/{round_}"
            assert sum(pool.map(write, range(8), [key] * 8)) == 1
            found = disk.head(key)
            assert found is not None
            assert found.metadata == {"size": str(found.size)}
            assert len(read(disk, key)) == found.size


def test_readers_of_an_object_being_replaced_find_old_or_new(disk: DiskStorage) -> None:
    put(disk, content=b"", metadata={"size": "0"})
    done = threading.Event()

    def watch() -> int:
        seen = 0
        while not done.is_set():
            found = disk.head(KEY)
            assert found is not None
            assert found.metadata == {"size": str(found.size)}
            read(disk)
            seen += 1
        return seen

    with ThreadPoolExecutor(2) as pool:
        watchers = [pool.submit(watch) for _ in range(2)]
        try:
            for size in range(100):
                put(
                    disk,
                    content=b"x" * size,
                    metadata={"size": str(size)},
                    replace=True,
                )
        finally:
            done.set()
        assert all(watcher.result() for watcher in watchers)


def test_a_put_survives_that_its_empty_folder_is_taken_away(disk: DiskStorage) -> None:
    with writer(UNLUCKY_WRITER, disk) as process:
        assert process.wait() == 0
    assert read(disk) == b"new"


def test_a_file_that_shrinks_while_read_is_an_error(disk: DiskStorage) -> None:
    put(disk, content=b"x" * 1000)
    opened = disk.open_range(KEY, 100)
    assert opened is not None
    with closing(opened):
        with (disk.root / KEY).open("r+b") as file:
            file.truncate(600)
        with pytest.raises(StorageError, match="400 bytes early"):
            list(opened.chunks())


def test_an_open_file_stands_at_its_start_for_sendfile(disk: DiskStorage) -> None:
    put(disk, content=b"0123456789")
    opened = disk.open_range(KEY, 4, 6)
    assert opened is not None
    with closing(opened):
        assert opened.file.tell() == 4
        assert opened.file.read() == b"456789"


def test_a_listing_outlives_deletes(disk: DiskStorage) -> None:
    for name in "abc":
        put(disk, f"{FOLDER}/{name}")
    listing = disk.list(f"{FOLDER}/")
    first = next(listing).key
    disk.delete([f"{FOLDER}/b"])
    assert [first, *(found.key for found in listing)] == [f"{FOLDER}/a", f"{FOLDER}/c"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="the disk"):
        DiskStorage(tmp_path / "file" / "media")


@pytest.mark.parametrize("key", [f"{KEY}/below", FOLDER])
def test_a_file_and_a_folder_cannot_share_a_name(disk: DiskStorage, key: str) -> None:
    put(disk)
    with pytest.raises(StorageError, match="the disk"):
        put(disk, key)
    assert keys(disk) == [KEY]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_for_the_owner_and_the_group_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    """The group is nginx's, which sends the files; nobody else on the machine reads them."""
    before = os.umask(umask)
    try:
        root = tmp_path / "new" / "media"
        put(DiskStorage(root), KEY, b"photo")
    finally:
        os.umask(before)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    files = [path for path in root.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o750}
    assert len(files) == 2 and {path.stat().st_mode & 0o777 for path in files} == {
        0o640
    }


def test_a_folder_that_somebody_has_opened_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    put(DiskStorage(tmp_path), KEY, b"photo")
    assert tmp_path.stat().st_mode & 0o7777 == 0o2770
    assert (tmp_path / FOLDER).stat().st_mode & 0o2000
