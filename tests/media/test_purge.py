"""What was deleted leaves the bucket, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from media_app import purge
from media_app.models import Lease, Media
from media_app.previews import SIZES, preview_key
from media_app.purge import purge_deleted
from media_app.storage import DeleteError, DiskStorage, StorageError
from messages_app import inbox
from messages_app.models import Contact
from simulator.deliveries import SignedRequest
from tests.faults.crash import dies_at
from tests.media.files import OWNER, Announced, announcement, keep
from tests.messages.mail import ADA, BOB, SENT, album, arrive, image, meta, photo

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State


def nothing() -> None:
    pass


class Shelf(DiskStorage):
    """The real folder storage. ``before_delete`` and ``after_delete`` are called once, at the next
    delete.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before_delete: Callable[[], object] = nothing
        self.after_delete: Callable[[], object] = nothing
        self.deletes = 0

    def lay(self, key: str) -> None:
        self.put(
            key, BytesIO(b"a file"), size=6, content_type="image/jpeg", metadata={}
        )

    def delete(self, keys: Iterable[str]) -> None:
        self.deletes += 1
        step, self.before_delete = self.before_delete, nothing
        step()
        super().delete(keys)
        step, self.after_delete = self.after_delete, nothing
        step()

    def keys(self) -> set[str]:
        return {found.key for found in self.list("")}


@pytest.fixture
def shelf(media_root: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf(media_root)
    monkeypatch.setattr(purge, "media_storage", lambda: shelf)
    return shelf


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 1)


def lie(shelf: Shelf, *files: Media) -> set[str]:
    """Lay the files and their previews into the bucket; their keys."""
    keys = {
        key
        for media in files
        for key in (media.key, *(preview_key(media, size) for size in SIZES))
    }
    for key in keys:
        shelf.lay(key)
    Media.objects.filter(id__in=[media.id for media in files]).update(
        state=State.STORED
    )
    return keys


def deleted(*files: Media) -> None:
    assert Media.objects.filter(id__in=[media.id for media in files]).mark_deleted(
        "asked for"
    ) == len(files)


def purged() -> set[str]:
    return {*Media.objects.exclude(purged_at=None).values_list("key", flat=True)}


def test_deleted_files_and_their_previews_leave_the_bucket_once(
    announced: Announced, shelf: Shelf
) -> None:
    gone, stays = announced(), announced()
    lie(shelf, gone)
    left = lie(shelf, stays)
    deleted(gone)
    assert (purge_deleted(), shelf.keys(), purged()) == (1, left, {gone.key})
    assert (purge_deleted(), shelf.deletes) == (0, 1)


def test_a_file_without_an_object_is_purged_as_well(
    announced: Announced, shelf: Shelf
) -> None:
    deleted(announced())
    assert (purge_deleted(), Media.objects.unpurged().count()) == (1, 0)


def test_batches_are_purged_and_their_neighbours_are_untouched(shelf: Shelf) -> None:
    keep(*(announcement() for _ in range(250)))
    for key in Media.objects.values_list("key", flat=True):
        shelf.lay(key)
    Media.objects.update(state=State.STORED)
    keep(
        announcement(owner=f"{OWNER}0"), announcement(owner=OWNER[:-1]), announcement()
    )
    left = lie(shelf, *Media.objects.filter(state=State.PENDING))
    assert Media.objects.exclude(key__in=left).mark_deleted("asked for") == 250
    assert (purge_deleted(), shelf.keys(), Media.objects.unpurged().count()) == (
        250,
        left,
        0,
    )
    assert shelf.deletes == 3


# --- back again -----------------------------------------------------------------------


@pytest.mark.usefixtures("one_by_one")
def test_a_file_that_came_back_before_its_turn_keeps_its_object(
    announced: Announced, shelf: Shelf
) -> None:
    first, second = sorted((announced(), announced()), key=lambda media: media.id)
    lie(shelf, first)
    left = lie(shelf, second)
    deleted(first, second)
    shelf.before_delete = Media.objects.filter(id=second.id).revive
    assert (purge_deleted(), shelf.keys()) == (1, left)
    second.refresh_from_db()
    assert (second.state, second.purged_at) == (State.PENDING, None)


def come_back() -> None:
    assert Media.objects.all().revive() == 1


def claimed() -> Lease:
    lease = Media.objects.claim()
    assert lease is not None
    return lease


def is_stored(lease: Lease) -> bool:
    """Whether a worker that has just put the object may say so."""
    media = lease.media
    return Media.objects.mark_stored(
        lease,
        key=media.key,
        sha256="0" * 64,
        size=6,
        content_type="image/jpeg",
        type_differs=False,
    )


def test_a_file_that_comes_back_while_it_is_purged_is_fetched_after_it(
    announced: Announced, shelf: Shelf
) -> None:
    lie(shelf, media := announced())
    deleted(media)
    claims: list[Lease | None] = []

    def begin() -> None:
        come_back()
        claims.append(Media.objects.claim())

    shelf.before_delete = begin
    assert (purge_deleted(), claims, shelf.keys()) == (0, [None], set())
    media.refresh_from_db()
    assert (media.state, media.purged_at, claimed().media) == (
        State.PENDING,
        None,
        media,
    )


def test_a_file_that_comes_back_and_is_deleted_again_is_fetched_after_the_purge(
    announced: Announced, shelf: Shelf
) -> None:
    lie(shelf, media := announced())
    deleted(media)

    def begin() -> None:
        come_back()
        deleted(media)
        come_back()
        assert Media.objects.claim() is None

    shelf.before_delete = begin
    assert purge_deleted() == 0
    assert claimed().media == media


def test_after_its_lease_a_worker_stores_nothing_that_is_being_purged(
    announced: Announced, shelf: Shelf
) -> None:
    media = announced()
    late = claimed()
    deleted(media)
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))

    def begin() -> None:
        come_back()
        shelf.lay(media.key)
        assert not is_stored(late)

    shelf.before_delete = begin
    purge_deleted()
    assert (shelf.keys(), Media.objects.get().state) == (set(), State.PENDING)


def test_a_purge_that_lasted_too_long_brings_back_what_it_deleted(
    announced: Announced, shelf: Shelf
) -> None:
    lie(shelf, media := announced())
    deleted(media)

    def begin() -> None:
        come_back()
        Media.objects.update(lease_until=Now() - timedelta(seconds=1))
        assert is_stored(claimed())

    shelf.before_delete = begin
    assert (purge_deleted(), shelf.keys()) == (0, set())
    assert claimed().media == media


def test_a_purge_waits_for_the_worker_that_still_fetches_the_file(
    announced: Announced, shelf: Shelf
) -> None:
    media = announced()
    lease = claimed()
    deleted(media)
    assert (purge_deleted(), shelf.deletes) == (0, 0)
    assert not Media.objects.mark_retrying(lease, "cut short", timedelta(0))
    assert purge_deleted() == 1


def test_an_object_that_is_put_while_its_file_is_purged_is_purged_again(
    announced: Announced, shelf: Shelf
) -> None:
    media = announced()
    late = claimed()
    deleted(media)
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))

    def after_delete() -> None:
        shelf.lay(media.key)
        assert Media.objects.mark_put_after_deletion(late, media.key)

    shelf.after_delete = after_delete
    assert (purge_deleted(), shelf.keys()) == (0, {media.key})
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert (purge_deleted(), shelf.keys()) == (1, set())


def test_a_file_that_somebody_else_is_purging_is_left_to_them(
    announced: Announced, shelf: Shelf
) -> None:
    lie(shelf, media := announced())
    deleted(media)
    counts: list[int] = []
    shelf.before_delete = lambda: counts.append(purge_deleted())
    assert purge_deleted() == 1
    assert (counts, shelf.deletes, shelf.keys()) == ([0], 1, set())


def test_a_purger_that_was_killed_leaves_its_files_to_the_next(
    announced: Announced, shelf: Shelf
) -> None:
    lie(shelf, media := announced())
    deleted(media)
    for point in ("purge_after_claim", "purge_after_delete"):
        dies_at(point, purge_deleted)
        assert (purge_deleted(), Media.objects.unpurged().count()) == (0, 1)
        Media.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert (purge_deleted(), shelf.keys()) == (1, set())


def test_nobody_who_writes_waits_for_the_bucket(
    announced: Announced, shelf: Shelf
) -> None:
    deleted(announced())
    writes: list[int] = []

    def write() -> None:
        try:
            writes.append(Media.objects.update(link_version=7))
        finally:
            connection.close()

    another = Thread(target=write)

    def begin() -> None:
        another.start()
        another.join(180)
        assert writes == [1], "the write waits for the bucket"

    shelf.before_delete = begin
    assert purge_deleted() == 1
    another.join()


# --- a storage that fails -------------------------------------------------------------


@pytest.mark.usefixtures("one_by_one")
def test_while_the_storage_is_down_nothing_is_lost(
    announced: Announced, shelf: Shelf
) -> None:
    files = [announced() for _ in range(3)]
    lie(shelf, *files)
    deleted(*files)
    away = shelf.root.rename(shelf.root.with_name("away"))
    assert (purge_deleted(), shelf.deletes, Media.objects.unpurged().count()) == (
        0,
        0,
        3,
    )
    away.rename(shelf.root)
    assert (purge_deleted(), shelf.keys(), Media.objects.unpurged().count()) == (
        3,
        set(),
        0,
    )


@pytest.mark.usefixtures("one_by_one")
def test_what_was_purged_before_the_storage_failed_stays_purged(
    announced: Announced, shelf: Shelf
) -> None:
    files = [announced() for _ in range(3)]
    deleted(*files)

    def fail_at_the_next() -> None:
        shelf.before_delete = fail

    def fail() -> None:
        raise StorageError("the bucket, delete: ConnectTimeoutError")

    shelf.before_delete = fail_at_the_next
    assert (purge_deleted(), Media.objects.unpurged().count()) == (1, 2)
    assert (purge_deleted(), Media.objects.unpurged().count()) == (2, 0)


def test_an_object_that_stays_keeps_its_own_file_only(
    announced: Announced, shelf: Shelf
) -> None:
    files = [announced() for _ in range(3)]
    lie(shelf, *files)
    deleted(*files)
    stuck = (shelf.root / preview_key(files[1], 320)).parent
    away = stuck.rename(shelf.root / "away")
    # A folder that opens for nobody: a link to itself.
    stuck.symlink_to(stuck)
    assert (purge_deleted(), purged()) == (2, {files[0].key, files[2].key})
    stuck.unlink()
    away.rename(stuck)
    assert (purge_deleted(), shelf.keys(), Media.objects.unpurged().count()) == (
        1,
        set(),
        0,
    )


@pytest.mark.usefixtures("one_by_one")
def test_a_file_that_stays_does_not_hold_up_those_behind_it(
    announced: Announced, shelf: Shelf
) -> None:
    files = [announced() for _ in range(3)]
    deleted(*files)
    first = min(files, key=lambda media: media.id)

    def keep_it() -> None:
        raise DeleteError("1 objects remain: in use", (first.key,))

    shelf.before_delete = keep_it
    assert (purge_deleted(), Media.objects.unpurged().get()) == (2, first)


# --- RESET ----------------------------------------------------------------------------


def said(id: str, text: str, at: int) -> SignedRequest:
    sender = ADA.removeprefix("whatsapp:+")
    return meta(
        {
            "from": sender,
            "id": id,
            "timestamp": str(at),
            "type": "text",
            "text": {"body": text},
        }
    )


def three_photos() -> list[SignedRequest]:
    """A session of Ada's, after a photo that she sent before it; and one of Bob's in the same
    minute.
    """
    return [
        album(photo(8, sent_at=SENT - 10)),
        said("wamid.sell", "SELL", SENT),
        *(album(photo(number, sent_at=SENT + number)) for number in (1, 2, 3)),
        album(photo(9, owner=BOB, sent_at=SENT + 2)),
    ]


def stored_photos(shelf: Shelf, *more: SignedRequest) -> None:
    arrive(*three_photos(), *more)
    inbox.drain()
    lie(shelf, *Media.objects.all())


def reset_and_purge() -> int:
    arrive(said("wamid.reset", "RESET", SENT + 9))
    inbox.drain()
    return purge_deleted()


def numbers(shelf: Shelf) -> set[int]:
    """The photos that are in the bucket."""
    ids = Media.objects.filter(key__in=shelf.keys()).values_list(
        "provider_message_id", flat=True
    )
    return {int(id.removeprefix("wamid.")) for id in ids}


def test_reset_removes_the_photos_of_its_session_and_no_others(shelf: Shelf) -> None:
    stored_photos(shelf)
    assert numbers(shelf) == {1, 2, 3, 8, 9}
    assert (reset_and_purge(), numbers(shelf)) == (3, {8, 9})
    assert Media.objects.filter(state=State.DELETED).count() == 3
    # Each with its two previews.
    assert len(shelf.keys()) == 6


def test_reset_leaves_a_photo_that_somebody_else_sent_too(shelf: Shelf) -> None:
    file = photo(2).file
    assert file
    forwarded = image("wamid.forwarded", sender=BOB, at=SENT + 4)
    stored_photos(
        shelf,
        meta({**forwarded, "image": {"id": file.media_id, "mime_type": "image/jpeg"}}),
    )
    assert (reset_and_purge(), numbers(shelf)) == (2, {2, 8, 9})


def test_reset_leaves_a_photo_that_was_sent_before_the_session_too(
    shelf: Shelf,
) -> None:
    file = photo(2).file
    assert file
    earlier = image("wamid.earlier", at=SENT - 10)
    stored_photos(
        shelf,
        meta({**earlier, "image": {"id": file.media_id, "mime_type": "image/jpeg"}}),
    )
    assert (reset_and_purge(), numbers(shelf)) == (2, {2, 8, 9})


def test_reset_deletes_nothing_of_a_contact_on_hold(shelf: Shelf) -> None:
    stored_photos(shelf)
    Contact.objects.filter(owners__owner=ADA).hold(True)
    assert (reset_and_purge(), numbers(shelf)) == (0, {1, 2, 3, 8, 9})
    assert not Media.objects.filter(state=State.DELETED).exists()


def test_a_photo_sent_again_after_reset_comes_back_under_its_key(
    shelf: Shelf, settings: Settings
) -> None:
    settings.SESSION_START = "keyword"
    stored_photos(shelf)
    reset_and_purge()
    file = photo(2).file
    assert file
    again = image("wamid.again", at=SENT + 20)
    arrive(meta({**again, "image": {"id": file.media_id, "mime_type": "image/jpeg"}}))
    inbox.drain()
    back = Media.objects.get(provider_media_id=file.media_id)
    lie(shelf, back)
    assert (back.state, back.purged_at, purge_deleted(), numbers(shelf)) == (
        State.PENDING,
        None,
        0,
        {2, 8, 9},
    )
