"""What was deleted leaves the bucket, and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from media_app import purge
from media_app.models import Media, MediaQuerySet
from media_app.previews import SIZES, preview_key
from media_app.purge import purge_deleted
from media_app.storage import DeleteError, StorageError
from messages_app import inbox
from tests.faults.crash import dies_at
from tests.media.bucket import Bucket
from tests.media.files import (
    OWNER,
    Announced,
    announcement,
    claimed,
    keep,
    lease_runs_out,
    mark_stored,
)
from tests.media.racing import race
from tests.messages.mail import ADA, BOB, SENT, album, arrive, image, meta, photo
from tests.storage.buckets import put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State


@pytest.fixture
def shelf(media_root: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    shelf = Bucket(media_root)
    monkeypatch.setattr(purge, "media_storage", lambda: shelf)
    return shelf


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 1)


def rows(*files: Media) -> MediaQuerySet:
    return Media.objects.filter(id__in=[media.id for media in files])


def lie(shelf: Bucket, *files: Media) -> set[str]:
    """Lay the files and their previews into the bucket; their keys."""
    keys = {media.key for media in files}
    keys |= {preview_key(media, size) for media in files for size in SIZES}
    for key in keys:
        put(shelf, key)
    rows(*files).update(state=State.STORED)
    return keys


def deleted(*files: Media) -> None:
    assert rows(*files).mark_deleted("asked for") == len(files)


@pytest.fixture
def gone(announced: Announced, shelf: Bucket) -> Media:
    """A file in the bucket that is deleted, and not yet purged."""
    lie(shelf, media := announced())
    deleted(media)
    return media


def unpurged() -> int:
    return Media.objects.unpurged().count()


def purged() -> set[str]:
    return {*Media.objects.exclude(purged_at=None).values_list("key", flat=True)}


def test_deleted_files_and_their_previews_leave_the_bucket_once(
    announced: Announced, shelf: Bucket
) -> None:
    gone, without_object, stays = announced(), announced(), announced()
    lie(shelf, gone)
    left = lie(shelf, stays)
    deleted(gone, without_object)
    assert (purge_deleted(), {*shelf.keys()}) == (2, left)
    assert purged() == {gone.key, without_object.key}
    assert (purge_deleted(), shelf.deletes) == (0, 1)


def test_batches_are_purged_and_their_neighbours_are_untouched(shelf: Bucket) -> None:
    keep(*(announcement() for _ in range(250)))
    for key in Media.objects.values_list("key", flat=True):
        put(shelf, key)
    Media.objects.update(state=State.STORED)
    owners = (f"{OWNER}0", OWNER[:-1], OWNER)
    keep(*(announcement(owner=owner) for owner in owners))
    left = lie(shelf, *Media.objects.filter(state=State.PENDING))
    assert Media.objects.exclude(key__in=left).mark_deleted("asked for") == 250
    assert (purge_deleted(), {*shelf.keys()}, unpurged()) == (250, left, 0)
    assert shelf.deletes == 3


# --- back again -----------------------------------------------------------------------


@pytest.mark.usefixtures("one_by_one")
def test_a_file_that_came_back_before_its_turn_keeps_its_object(
    announced: Announced, shelf: Bucket
) -> None:
    first, second = sorted((announced(), announced()), key=lambda media: media.id)
    lie(shelf, first)
    left = lie(shelf, second)
    deleted(first, second)
    shelf.before_delete = Media.objects.filter(id=second.id).revive
    assert (purge_deleted(), {*shelf.keys()}) == (1, left)
    second.refresh_from_db()
    assert (second.state, second.purged_at) == (State.PENDING, None)


def come_back() -> None:
    assert Media.objects.all().revive() == 1


@pytest.mark.parametrize("is_deleted_again", [False, True])
def test_a_file_that_comes_back_while_it_is_purged_is_fetched_after_it(
    gone: Media, shelf: Bucket, is_deleted_again: bool
) -> None:
    def begin() -> None:
        come_back()
        if is_deleted_again:
            deleted(gone)
            come_back()
        assert Media.objects.claim() is None

    shelf.before_delete = begin
    assert (purge_deleted(), shelf.keys()) == (0, [])
    assert (purged(), claimed().media) == (set(), gone)


def test_after_its_lease_a_worker_stores_nothing_that_is_being_purged(
    announced: Announced, shelf: Bucket
) -> None:
    media = announced()
    late = claimed()
    deleted(media)
    lease_runs_out()

    def begin() -> None:
        come_back()
        put(shelf, media.key)
        assert not mark_stored(late)

    shelf.before_delete = begin
    purge_deleted()
    assert (shelf.keys(), Media.objects.get().state) == ([], State.PENDING)


def test_a_purge_that_lasted_too_long_brings_back_what_it_deleted(
    gone: Media, shelf: Bucket
) -> None:
    def begin() -> None:
        come_back()
        lease_runs_out()
        assert mark_stored(claimed())

    shelf.before_delete = begin
    assert (purge_deleted(), shelf.keys()) == (0, [])
    assert claimed().media == gone


def test_a_purge_waits_for_the_worker_that_still_fetches_the_file(
    announced: Announced, shelf: Bucket
) -> None:
    media = announced()
    lease = claimed()
    deleted(media)
    assert (purge_deleted(), shelf.deletes) == (0, 0)
    assert not Media.objects.mark_retrying(lease, "cut short", timedelta(0))
    assert purge_deleted() == 1


def test_an_object_that_is_put_while_its_file_is_purged_is_purged_again(
    announced: Announced, shelf: Bucket
) -> None:
    media = announced()
    late = claimed()
    deleted(media)
    lease_runs_out()

    def after_delete() -> None:
        put(shelf, media.key)
        assert Media.objects.mark_put_after_deletion(late, media.key)

    shelf.after_delete = after_delete
    assert (purge_deleted(), shelf.keys()) == (0, [media.key])
    lease_runs_out()
    assert (purge_deleted(), shelf.keys()) == (1, [])


def test_a_file_that_somebody_else_is_purging_is_left_to_them(
    gone: Media, shelf: Bucket
) -> None:
    counts: list[int] = []
    shelf.before_delete = lambda: counts.append(purge_deleted())
    assert purge_deleted() == 1
    assert (counts, shelf.deletes, shelf.keys()) == ([0], 1, [])


def test_a_purger_that_was_killed_leaves_its_files_to_the_next(
    gone: Media, shelf: Bucket
) -> None:
    for point in ("purge_after_claim", "purge_after_delete"):
        dies_at(point, purge_deleted)
        assert (purge_deleted(), unpurged()) == (0, 1)
        lease_runs_out()
    assert (purge_deleted(), shelf.keys()) == (1, [])


def test_nobody_who_writes_waits_for_the_bucket(gone: Media, shelf: Bucket) -> None:
    writes: list[int] = []

    def write() -> None:
        writes.extend(race([lambda: Media.objects.update(link_version=7)]))

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
    announced: Announced, shelf: Bucket
) -> None:
    files = [announced() for _ in range(3)]
    lie(shelf, *files)
    deleted(*files)
    away = shelf.root.rename(shelf.root.with_name("away"))
    assert (purge_deleted(), shelf.deletes, unpurged()) == (0, 0, 3)
    away.rename(shelf.root)
    assert (purge_deleted(), shelf.keys(), unpurged()) == (3, [], 0)


@pytest.mark.usefixtures("one_by_one")
def test_what_was_purged_before_the_storage_failed_stays_purged(
    announced: Announced, shelf: Bucket
) -> None:
    files = [announced() for _ in range(3)]
    deleted(*files)

    def fail_at_the_next() -> None:
        shelf.before_delete = fail

    def fail() -> None:
        raise StorageError("the bucket, delete: ConnectTimeoutError")

    shelf.before_delete = fail_at_the_next
    assert (purge_deleted(), unpurged()) == (1, 2)
    assert (purge_deleted(), unpurged()) == (2, 0)


def test_an_object_that_stays_keeps_its_own_file_only(
    announced: Announced, shelf: Bucket
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
    assert (purge_deleted(), shelf.keys(), unpurged()) == (1, [], 0)


@pytest.mark.usefixtures("one_by_one")
def test_a_file_that_stays_does_not_hold_up_those_behind_it(
    announced: Announced, shelf: Bucket
) -> None:
    files = sorted((announced() for _ in range(3)), key=lambda media: media.id)
    deleted(*files)

    def keep_it() -> None:
        raise DeleteError("1 objects remain: in use", (files[0].key,))

    shelf.before_delete = keep_it
    assert (purge_deleted(), Media.objects.unpurged().get()) == (2, files[0])


# --- RESET ----------------------------------------------------------------------------


def say(word: str, at: int) -> None:
    sender = ADA.removeprefix("whatsapp:+")
    text = {"type": "text", "text": {"body": word}}
    arrive(meta({"from": sender, "id": f"wamid.{at}", "timestamp": str(at), **text}))


def numbers(shelf: Bucket) -> set[int]:
    """The photos that are in the bucket."""
    there = Media.objects.filter(key__in=shelf.keys())
    ids = there.values_list("provider_message_id", flat=True)
    return {int(id.removeprefix("wamid.")) for id in ids}


def test_reset_removes_the_photos_of_its_session_which_may_come_back(
    shelf: Bucket,
) -> None:
    arrive(album(photo(8, sent_at=SENT - 10)))
    say("SELL", SENT)
    arrive(*(album(photo(number, sent_at=SENT + number)) for number in (1, 2, 3)))
    arrive(album(photo(9, owner=BOB, sent_at=SENT + 2)))
    inbox.drain()
    lie(shelf, *Media.objects.all())
    assert numbers(shelf) == {1, 2, 3, 8, 9}
    say("RESET", SENT + 9)
    inbox.drain()
    assert (purge_deleted(), numbers(shelf)) == (3, {8, 9})
    # Each with its two previews.
    assert len(shelf.keys()) == 6
    file = photo(2).file
    assert file
    again = image("wamid.again", at=SENT + 20)
    arrive(meta({**again, "image": {"id": file.media_id, "mime_type": "image/jpeg"}}))
    inbox.drain()
    back = Media.objects.get(provider_media_id=file.media_id)
    assert (back.state, back.purged_at) == (State.PENDING, None)
    lie(shelf, back)
    assert (purge_deleted(), numbers(shelf)) == (0, {2, 8, 9})
