from __future__ import annotations

import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from media_app.filetypes import HEAD
from media_app.sources.errors import TooLargeError, UnavailableError
from media_app.spool import IN_MEMORY, Spool
from media_app.storage import StorageError

CHUNK = b"0123456789abcdef" * 4096


@pytest.mark.parametrize("chunks", [0, 1, 2 * IN_MEMORY // len(CHUNK)])
def test_a_spool_measures_and_hashes_what_it_took_in(chunks: int) -> None:
    with Spool(10 * IN_MEMORY) as spool:
        spool.fill(CHUNK for _ in range(chunks))
        assert (spool.size, spool.sha256) == (
            chunks * len(CHUNK),
            sha256(CHUNK * chunks).hexdigest(),
        )
        assert spool.head() == (CHUNK * chunks)[:HEAD]
        spool.file.seek(0)
        assert spool.file.read() == CHUNK * chunks


def test_a_spool_takes_no_more_than_its_cap() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield CHUNK

    with Spool(3 * len(CHUNK)) as spool, pytest.raises(TooLargeError):
        spool.fill(endless())
    assert len(taken) == 4


def test_a_body_that_breaks_off_is_the_sources_error() -> None:
    def broken() -> Iterator[bytes]:
        yield CHUNK
        raise UnavailableError("broke off")

    with Spool(IN_MEMORY) as spool, pytest.raises(UnavailableError):
        spool.fill(broken())


def test_a_disk_without_room_is_our_storages_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    with Spool(10 * IN_MEMORY) as spool, pytest.raises(StorageError, match="disk"):
        spool.fill(CHUNK for _ in range(2 * IN_MEMORY // len(CHUNK)))


def test_a_photo_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    with Spool(10 * IN_MEMORY) as spool:
        spool.fill([CHUNK])
        assert spool.sha256 == sha256(CHUNK).hexdigest()


def test_a_spool_leaves_nothing_behind() -> None:
    with Spool(10 * IN_MEMORY) as spool:
        spool.fill([b"x" * (IN_MEMORY + 1)])
    assert spool.file.closed
