"""A sender's files by the prefix of their keys, on a folder and on two S3 servers, without a
database.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from media_app import discovery
from media_app.discovery import Deleted, Found, delete, found
from media_app.identity import UNKNOWN_OWNER
from media_app.models import Media
from media_app.previews import SIZES, preview_key
from media_app.storage import (
    DeleteError,
    DiskStorage,
    Storage,
    StorageError,
    media_storage,
)
from simulator.processes import free_port
from tests.storage.buckets import connect, keys, put

ADA = "whatsapp:+14335551"
#: Their numbers begin or end like hers.
NEIGHBOURS = (
    "whatsapp:+143355512",
    "whatsapp:+1433555",
    "whatsapp:14335551",
    "x/whatsapp:+14335551",
)
#: The same number, and one that it begins, on another channel.
TEXTER = "sms:+14335551"
TEXTERS_NEIGHBOURS = (
    "sms:+143355512",
    "whatsapp:+14335551",
    "sms:14335551",
    "rcs:+14335551",
)
NOON = datetime(2024, 5, 19, 12, tzinfo=UTC)
NOTHING = Deleted(files=(), previews=0, remaining={})


def key(second: int = 0, *, owner: str = ADA) -> str:
    """A photo's, so many seconds after noon."""
    return f"{owner}/{int(NOON.timestamp()) + second}-0-{second:012x}.jpeg"


def previews(*originals: str) -> list[str]:
    return sorted(
        preview_key(Media(key=original), size)
        for original in originals
        for size in SIZES
    )


def lay(storage: Storage, *some: str) -> None:
    for each in some:
        put(storage, each)


def lay_many(storage: Storage, first: str, *others: str) -> None:
    # Not all at once: rclone fails where two puts make the same folder.
    put(storage, first)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: put(storage, each), others))


def remains(storage: Storage) -> set[str]:
    return {*keys(storage)}


# --- found ----------------------------------------------------------------------------


def test_what_is_found_is_all_that_its_key_and_the_listing_say(
    storage: Storage,
) -> None:
    put(storage, f"{ADA}/1716120082-3-3fa9c1d2e4b7.ogg", b"a voice")
    assert [*found(ADA, storage=storage)] == [
        Found(
            key=f"{ADA}/1716120082-3-3fa9c1d2e4b7.ogg",
            occurred_at=datetime(2024, 5, 19, 12, 1, 22, tzinfo=UTC),
            index=3,
            hex="3fa9c1d2e4b7",
            extension="ogg",
            size=7,
        )
    ]


def test_pages_of_files_are_found_and_deleted_and_no_neighbours(
    storage: Storage,
) -> None:
    own = [key(second) for second in range(1100)]
    others = {key(owner=neighbour) for neighbour in NEIGHBOURS}
    others |= {*previews(*others)}
    lay_many(storage, *own)
    lay(storage, *previews(*own[:3]), *others)
    assert [file.key for file in found(ADA, storage=storage)] == own
    assert delete(ADA, storage=storage) == Deleted(
        files=tuple(own), previews=6, remaining={}
    )
    assert remains(storage) == others
    assert delete(ADA, storage=storage) == NOTHING


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7))])
def test_recent_is_what_the_provider_dates_from_that_second_on(
    storage: Storage, zone: timezone
) -> None:
    since = (NOON + timedelta(seconds=20.9)).astimezone(zone)
    lay(storage, key(19), key(20), key(21))
    assert [file.key for file in found(ADA, since=since, storage=storage)] == [
        key(20),
        key(21),
    ]


def test_a_time_without_a_zone_is_a_mistake(disk: DiskStorage) -> None:
    for call in (found, delete):
        with pytest.raises(ValueError, match="without a zone"):
            call(ADA, since=NOON.replace(tzinfo=None), storage=disk)


@pytest.mark.parametrize(
    "owner",
    [
        *(
            "",
            "+14335551",
            "14335551",
            "whatsapp:14335551",
            "whatsapp:+14335551/",
            " whatsapp:+14335551",
        ),
        *(
            "whatsapp:",
            "whatsapp:+1433",
            "whatsapp:+１４３３５５５１",
            "whatsapp:us.13491208",
            "previews",
        ),
    ],
)
def test_an_owner_is_named_as_keys_name_it_or_not_at_all(
    disk: DiskStorage, owner: str
) -> None:
    put(disk, key())
    for call in (found, delete):
        with pytest.raises(ValueError, match="not an owner"):
            call(owner, storage=disk)
    assert remains(disk) == {key()}


def test_a_hidden_id_is_an_owner(storage: Storage) -> None:
    hidden = "whatsapp:US.13491208655302741918"
    lay(storage, key(owner=hidden), key(owner=f"{hidden}.2"))
    assert delete(hidden, storage=storage).files == (key(owner=hidden),)
    assert remains(storage) == {key(owner=f"{hidden}.2")}


def test_another_channel_of_the_same_number_is_another_sender(storage: Storage) -> None:
    own, others = (
        key(owner=TEXTER),
        {key(owner=neighbour) for neighbour in TEXTERS_NEIGHBOURS},
    )
    lay(storage, own, *others)
    assert delete("sms:+1433555", storage=storage) == NOTHING
    assert delete(TEXTER, storage=storage).files == (own,)
    assert remains(storage) == others


def test_files_of_unknown_senders_are_found_but_not_deleted_as_if_of_one(
    disk: DiskStorage,
) -> None:
    put(disk, key(owner=UNKNOWN_OWNER))
    assert [file.key for file in found(UNKNOWN_OWNER, storage=disk)] == [
        key(owner=UNKNOWN_OWNER)
    ]
    with pytest.raises(ValueError, match="not one sender's"):
        delete(UNKNOWN_OWNER, storage=disk)


def test_what_is_not_ours_below_the_prefix_is_neither_found_nor_deleted(
    storage: Storage,
) -> None:
    foreign = {
        f"{ADA}/notes.txt",
        f"{ADA}/1716120082-0-3fa9c1d2e4b7",
        f"{ADA}/1716120082-0-3FA9C1D2E4B7.jpeg",
        f"{ADA}/999999999999-0-3fa9c1d2e4b7.jpeg",
        f"{ADA}/album/1716120082-0-3fa9c1d2e4b7.jpeg",
        f"previews/{ADA}/notes.webp",
        f"previews/{ADA}/notes.txt/320.webp",
        f"previews/{key()}/320/old.webp",
    }
    lay(storage, key(), *foreign)
    assert [file.key for file in found(ADA, storage=storage)] == [key()]
    assert delete(ADA, storage=storage) == Deleted(
        files=(key(),), previews=0, remaining={}
    )
    assert remains(storage) == foreign


def test_without_a_storage_it_is_the_one_of_the_settings() -> None:
    put(media_storage(), key())
    assert [file.key for file in found(ADA)] == [key()]
    assert delete(ADA).files == (key(),)


def test_a_bucket_that_is_gone_is_an_error_and_not_a_sender_without_files() -> None:
    with connect(free_port(), "media") as gone:
        with pytest.raises(StorageError):
            list(found(ADA, storage=gone))
        with pytest.raises(StorageError):
            delete(ADA, storage=gone)


# --- deleted --------------------------------------------------------------------------


def test_previews_go_with_their_files_and_older_ones_stay(storage: Storage) -> None:
    lay(storage, key(19), key(20), *previews(key(19), key(20)))
    deleted = delete(ADA, since=NOON + timedelta(seconds=20), storage=storage)
    assert deleted == Deleted(files=(key(20),), previews=2, remaining={})
    assert remains(storage) == {key(19), *previews(key(19))}


def test_a_preview_that_is_made_while_its_file_is_deleted_goes_too(
    tmp_path: Path,
) -> None:
    class Viewed(DiskStorage):
        def delete(self, keys: Iterable[str]) -> None:
            wanted = [*keys]
            if key() in wanted:
                lay(self, *previews(key()))
            super().delete(wanted)

    storage = Viewed(tmp_path)
    lay(storage, key())
    assert delete(ADA, storage=storage) == Deleted(
        files=(key(),), previews=2, remaining={}
    )
    assert remains(storage) == set()


class Stubborn(DiskStorage):
    """Keeps some objects the first time that it shall delete them, and breaks down at some
    others.
    """

    def __init__(
        self, root: Path, keeps: Iterable[str] = (), breaks_at: Iterable[str] = ()
    ) -> None:
        super().__init__(root)
        self.keeps, self.breaks_at = {*keeps}, {*breaks_at}
        self.batches: list[int] = []

    def delete(self, keys: Iterable[str]) -> None:
        wanted = [*keys]
        self.batches.append(len(wanted))
        if broken := self.breaks_at.intersection(wanted):
            self.breaks_at -= broken
            raise StorageError("timed out")
        kept = self.keeps.intersection(wanted)
        self.keeps -= kept
        super().delete(each for each in wanted if each not in kept)
        if kept:
            raise DeleteError(f"{len(kept)} objects remain: in use", tuple(kept))


def test_what_could_not_be_deleted_is_named_and_gone_after_the_next_run(
    tmp_path: Path,
) -> None:
    own, kept = [key(second) for second in range(3)], (key(1), *previews(key(2))[:1])
    storage = Stubborn(tmp_path, keeps=kept)
    lay(storage, *own, *previews(*own))
    deleted = delete(ADA, storage=storage)
    assert (deleted.files, deleted.previews) == ((own[0], own[2]), 5)
    assert deleted.remaining == dict.fromkeys(kept, "1 objects remain: in use")
    assert remains(storage) == {*kept}
    assert delete(ADA, storage=storage) == Deleted(
        files=(key(1),), previews=1, remaining={}
    )
    assert (remains(storage), delete(ADA, storage=storage)) == (set(), NOTHING)


def test_a_batch_that_fails_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "BATCH", 10)
    own = [key(second) for second in range(25)]
    storage = Stubborn(tmp_path, keeps=[own[3]], breaks_at=[own[12]])
    lay(storage, *own)
    deleted = delete(ADA, storage=storage)
    assert deleted.files == (*own[:3], *own[4:10], *own[20:])
    assert deleted.remaining == {
        own[3]: "1 objects remain: in use",
        **dict.fromkeys(own[10:20], "timed out"),
    }
    assert delete(ADA, storage=storage).files == (own[3], *own[10:20])
    assert remains(storage) == set()


def test_two_who_delete_at_once_are_not_in_each_others_way(storage: Storage) -> None:
    own = {key(second) for second in range(40)}
    lay(storage, *own, *previews(*own))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: delete(ADA, storage=storage), range(2)))
    assert {each for result in results for each in result.files} == own
    assert (remains(storage), [result.remaining for result in results]) == (
        set(),
        [{}, {}],
    )
