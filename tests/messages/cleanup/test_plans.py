"""The command that deletes: by a plan, and only what is still as planned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from media_app import purge
from media_app.identity import ERASURES
from media_app.models import CommandRun, Media, Sighting
from media_app.purge import purge_deleted
from media_app.storage import StorageError, media_storage
from messages_app.management.commands import cleanup_media
from messages_app.models import Contact
from tests.faults.crash import dies_at, recover
from tests.media.bucket import Bucket
from tests.messages.cleanup.runs import (
    ALL,
    DAYS,
    ORPHAN,
    PREVIEW,
    a_day_passes,
    age,
    applied,
    cleanup,
    lay,
    lose_rows,
    plan,
    reason,
    see_twice,
)
from tests.storage.buckets import keys, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State


# --- retention ------------------------------------------------------------------------


def test_a_plan_deletes_nothing_and_is_for_its_owner_alone(over: list[Media]) -> None:
    assert plan() == {media.key: "retention" for media in over}
    assert Path("plan").stat().st_mode & 0o777 == 0o600
    assert Media.objects.filter(state=State.STORED).count() == 3
    run = CommandRun.objects.get()
    assert run.plan_digest == hashlib.sha256(Path("plan").read_bytes()).hexdigest()
    assert not any(media.key in str(vars(run)) for media in over)


def test_what_a_plan_deletes_waits_and_can_be_restored(over: list[Media]) -> None:
    plan()
    assert applied() == {media.key: "deleted" for media in over}
    assert (purge_deleted(), len(keys(media_storage()))) == (0, 3)
    assert plan() == {}


def test_a_plan_that_was_wrong_is_undone(over: list[Media]) -> None:
    plan()
    applied()
    Media.objects.filter(id=over[0].id).revive()
    restored = applied("--restore")
    assert sorted(restored.values()) == ["changed", "restored", "restored"]
    assert Media.objects.filter(state=State.STORED).count() == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda: Contact.objects.update(last_message_at=Now()),
        lambda: Contact.objects.update(is_held=True),
        lambda: Media.objects.update(stored_at=Now() + timedelta(seconds=5)),
    ],
    ids=["wrote again", "on hold", "stored again"],
)
def test_what_has_changed_since_the_plan_stays(
    over: list[Media], change: Callable[[], object]
) -> None:
    plan()
    change()
    assert set(applied().values()) == {"changed"}
    assert Media.objects.filter(state=State.STORED).count() == 3


# --- objects without a file -----------------------------------------------------------


def test_an_orphan_is_deleted_when_it_was_seen_for_a_day(files: list[Media]) -> None:
    lay()
    put(media_storage(), young := ORPHAN.replace("-0-", "-1-"))
    lay("readme.txt")
    assert see_twice() == {ORPHAN: "orphan"}
    assert applied() == {ORPHAN: "deleted"}
    left = {*keys(media_storage())}
    assert left == {young, "readme.txt", *(media.key for media in files)}
    assert applied() == {ORPHAN: "gone"}


@pytest.mark.parametrize("spelled", [ORPHAN, ORPHAN.replace("+", "")])
def test_an_orphan_of_a_contact_on_hold_stays(files: list[Media], spelled: str) -> None:
    lay(spelled)
    assert see_twice() == {spelled: "orphan"}
    Contact.objects.hold(True)
    assert applied() == {spelled: "changed"}
    assert (plan(), spelled in keys(media_storage())) == ({}, True)


def test_another_object_is_another_sighting(files: list[Media]) -> None:
    lay()
    plan()
    a_day_passes()
    media_storage().delete([ORPHAN])
    lay(body=b"another photo")
    assert plan() == {}


def test_an_object_that_has_its_file_again_is_forgotten(files: list[Media]) -> None:
    lay()
    plan()
    a_day_passes()
    media_storage().delete([ORPHAN])
    plan()
    assert not Sighting.objects.exists()


def test_an_orphan_whose_metadata_makes_it_a_file_becomes_one(
    files: list[Media],
) -> None:
    lose_rows(id=files[0].id)
    assert see_twice() == {files[0].key: "adoption"}
    assert applied() == {files[0].key: "adopted"}
    again = Media.objects.get(id=files[0].id)
    assert (again.state, again.sha256) == (State.STORED, files[0].sha256)


def test_nothing_is_adopted_while_nobody_knows_who_was_erased(
    files: list[Media],
) -> None:
    lose_rows(id=files[0].id)
    see_twice()
    put(media_storage(), f"{ERASURES}1")
    assert "ERASURE_KEY" in reason("--apply", "plan", *ALL)
    assert not Media.objects.filter(id=files[0].id).exists()


def test_a_deleted_file_that_waits_is_no_orphan(files: list[Media]) -> None:
    Media.objects.filter(id=files[0].id).mark_deleted("by staff", wait=DAYS)
    assert see_twice() == {}


def test_an_object_that_came_back_after_its_purge_is_purged_again(
    files: list[Media],
) -> None:
    Media.objects.filter(id=files[0].id).mark_deleted("RESET")
    purge_deleted()
    lay(files[0].key)
    assert see_twice() == {files[0].key: "purged"}
    assert applied() == {files[0].key: "deleted"}
    assert files[0].key not in keys(media_storage())


def test_an_older_database_purges_nothing_that_was_sent_again(
    files: list[Media],
) -> None:
    [file] = deleted = Media.objects.filter(id=files[0].id)
    deleted.mark_deleted("RESET")
    purge_deleted()
    deleted.update(purged_at=Now() - timedelta(hours=1))
    [older] = deleted.values()
    deleted.revive(announced_at=Now())
    recover()
    age(file.key)
    deleted.update(**older)
    assert (see_twice(), file.key in keys(media_storage())) == ({}, True)


def test_metadata_that_needs_another_key_is_kept(
    files: list[Media], settings: Settings
) -> None:
    put(media_storage(), ORPHAN, metadata={"record": "f1.gAAAA"})
    age(ORPHAN)
    assert see_twice() == {}


def test_previews_and_temporary_files_of_nothing_are_deleted(
    files: list[Media],
) -> None:
    lay(PREVIEW)
    lay()
    lay(of_orphan := f"previews/{ORPHAN}/320.webp")
    part = Path(str(media_storage().root), f".{'0' * 32}.part")  # type: ignore[attr-defined]
    part.write_bytes(b"x")
    assert plan() == {}
    age(part.name)
    a_day_passes()
    found = plan()
    assert found == {PREVIEW: "preview", ORPHAN: "orphan", part.name: "leftover"}
    assert set(applied().values()) == {"deleted"}
    assert not part.exists()
    assert {*keys(media_storage())} == {of_orphan, *(media.key for media in files)}


def test_an_object_that_was_replaced_since_the_plan_stays(files: list[Media]) -> None:
    lay()
    see_twice()
    media_storage().delete([ORPHAN])
    put(media_storage(), ORPHAN, b"another")
    assert applied() == {ORPHAN: "changed"}
    assert ORPHAN in keys(media_storage())


def own(key: str, state: State = State.STORED) -> Media:
    """A row of a file with this key, as a message of this moment makes it."""
    media = Media.objects.earliest("key")
    media.id = uuid4()
    media.key, media.state, media.provider_media_id = key, state, "1"
    media.save(force_insert=True)
    return media


def test_an_object_that_has_a_file_since_the_plan_stays(files: list[Media]) -> None:
    lay()
    see_twice()
    own(ORPHAN, State.PENDING)
    assert applied() == {ORPHAN: "changed"}
    assert ORPHAN in keys(media_storage())


@pytest.fixture
def taken(
    files: list[Media], media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    """A storage with an orphan, which becomes a file's object just before it is deleted."""
    shelf = Bucket(media_root)
    for module in (cleanup_media, purge):
        monkeypatch.setattr(module, "media_storage", lambda: shelf)
    lay()
    see_twice()
    shelf.before_delete = lambda: own(ORPHAN)
    return shelf


def test_a_file_that_has_taken_the_object_is_fetched_again(taken: Bucket) -> None:
    applied()
    assert Media.objects.get(key=ORPHAN).state == State.PENDING


def test_a_file_that_has_taken_it_from_a_killed_run_is_fetched_again(
    taken: Bucket,
) -> None:
    dies_at("cleanup_after_delete", applied)
    taken.before_delete = lambda: None
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert applied() == {ORPHAN: "gone"}
    assert Media.objects.get(key=ORPHAN).state == State.PENDING


def test_a_file_that_has_taken_it_is_fetched_again_after_an_error(
    taken: Bucket,
) -> None:
    def fail() -> None:
        raise StorageError("The connection was lost.")

    taken.after_delete = fail
    cleanup("--apply", "plan", *ALL, code=1)
    assert Media.objects.get(key=ORPHAN).state == State.PENDING


# --- killed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [
        "cleanup_before_batch",
        "cleanup_after_files",
        "cleanup_before_delete",
        "cleanup_after_delete",
    ],
)
def test_a_killed_run_is_ended_by_the_next(over: list[Media], point: str) -> None:
    lay()
    plan()
    a_day_passes()
    assert len(plan()) == 4
    dies_at(point, applied)
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))
    applied()
    assert Media.objects.filter(state=State.DELETED).count() == 3
    assert {*keys(media_storage())} == {media.key for media in over}
