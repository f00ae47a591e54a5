"""A storage that is not ours counts as down: a folder that is not mounted, another bucket."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from pytest_django import Settings

from media_app import installation
from media_app.ingest import ingest_next
from media_app.installation import ForeignStorageError
from media_app.models import Installation, Media
from media_app.purge import purge_deleted
from media_app.storage import DiskStorage, Storage, media_storage
from simulator.provider import SimulatedProvider
from tests.media.browser import Browser
from tests.media.files import Announced, Sent, Stored
from tests.media.racing import race

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
Unmount = Callable[[], Callable[[], None]]


@pytest.fixture
def unmount(media_root: Path) -> Unmount:
    """Take the disk away: its mount point is an empty folder. Returns what brings the disk back."""

    def take_away() -> Callable[[], None]:
        disk = media_root.rename(media_root.with_name("disk"))
        media_root.mkdir()

        def bring_back() -> None:
            media_root.rename(media_root.with_name("mount point"))
            disk.rename(media_root)

        return bring_back

    return take_away


def lay(media: Media) -> None:
    """The object and the row of a stored file, as a release before the marker left them."""
    media_storage().put(
        media.key, BytesIO(b"a file"), size=6, content_type="image/jpeg", metadata={}
    )
    Media.objects.filter(id=media.id).update(state=State.STORED)


# --- how often a storage is asked ---------------------------------------------------


def markers_read(monkeypatch: pytest.MonkeyPatch) -> list[Storage]:
    read: list[Storage] = []
    marker = type(media_storage()).marker

    def counted(storage: Storage) -> str | None:
        read.append(storage)
        return marker(storage)

    monkeypatch.setattr(type(media_storage()), "marker", counted)
    return read


@pytest.mark.usefixtures("in_a_bucket")
def test_a_bucket_is_asked_once_for_many_files(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(), sent(), sent()
    read = markers_read(monkeypatch)
    assert [bool(ingest_next()) for _ in range(3)] == [True, True, True]
    assert len(read) == 1
    monkeypatch.setattr(installation, "BUCKET_TRUSTED_SECONDS", 0)
    sent(), ingest_next()
    assert len(read) == 3


def test_a_folder_is_asked_before_each_fetch_and_each_put(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(), sent()
    read = markers_read(monkeypatch)
    ingest_next(), ingest_next()
    assert len(read) == 4


# --- a folder that is not mounted ---------------------------------------------------


def test_nothing_is_fetched_into_the_mount_point(
    sent: Sent, provider: SimulatedProvider, unmount: Unmount, media_root: Path
) -> None:
    sent()
    installation.check(media_storage())
    bring_back = unmount()
    ingest_next()
    row = Media.objects.get()
    assert (row.state, "not mounted" in row.last_error) == (State.RETRYING, True)
    assert (provider.downloads.total(), list(media_root.iterdir())) == (0, [])
    bring_back()
    Media.objects.update(next_attempt_at=Now())
    ingest_next()
    assert Media.objects.get().is_stored


def test_a_disk_that_goes_while_a_file_comes_is_noticed(
    sent: Sent,
    provider: SimulatedProvider,
    unmount: Unmount,
    media_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent()
    installation.check(media_storage())
    monkeypatch.setattr("media_app.ingest.flow.verify", lambda *args: unmount())
    ingest_next()
    assert (Media.objects.get().state, list(media_root.iterdir())) == (
        State.RETRYING,
        [],
    )


def test_a_stored_file_is_not_lost_with_the_mount(
    stored: Stored, unmount: Unmount, viewer: Browser
) -> None:
    media = stored(b"a photo")
    bring_back = unmount()
    assert viewer.get(f"/media/{media.id}/").status_code == 503
    assert viewer.get(f"/media/{media.id}/preview/").status_code == 503
    assert Media.objects.get().state == State.STORED
    bring_back()
    assert viewer.get(f"/media/{media.id}/").status_code == 200


def test_what_is_deleted_meanwhile_is_purged_when_the_disk_is_back(
    stored: Stored, unmount: Unmount
) -> None:
    media = stored(b"a photo")
    bring_back = unmount()
    Media.objects.all().mark_deleted("asked for")
    assert (purge_deleted(), Media.objects.unpurged().count()) == (0, 1)
    bring_back()
    assert (purge_deleted(), media_storage().head(media.key)) == (1, None)


# --- the marker -----------------------------------------------------------------------


def test_an_installation_without_files_marks_its_storage() -> None:
    installation.check(media_storage())
    assert media_storage().marker() == str(Installation.objects.get())
    assert list(media_storage().list("")) == []


def test_an_installation_whose_files_are_there_marks_its_storage(
    announced: Announced,
) -> None:
    for _ in range(4):
        lay(announced())
    lost = Media.objects.first()
    assert lost is not None
    media_storage().delete([lost.key])
    installation.check(media_storage())
    assert media_storage().marker() == str(Installation.objects.get())


def test_a_storage_without_our_files_is_not_marked(announced: Announced) -> None:
    for _ in range(4):
        lay(announced())
    media_storage().delete(Media.objects.values_list("key", flat=True)[:3])
    with pytest.raises(ForeignStorageError, match="not mounted"):
        installation.check(media_storage())
    assert media_storage().marker() is None


def test_a_storage_that_was_marked_once_is_not_marked_again(unmount: Unmount) -> None:
    installation.check(media_storage())
    unmount()
    assert "not mounted" in installation.problem(media_storage())
    assert media_storage().marker() is None


def test_a_storage_of_another_installation_is_refused(media_root: Path) -> None:
    other = str(uuid4())
    DiskStorage(media_root).write_marker(other)
    with pytest.raises(ForeignStorageError, match=other):
        installation.check(media_storage())
    assert media_storage().marker() == other


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_at_once_are_one_installation() -> None:
    race([lambda: installation.check(media_storage())] * 8)
    assert media_storage().marker() == str(Installation.objects.get())


def test_a_marker_that_was_written_by_a_process_that_died_then_is_ours() -> None:
    installation.check(media_storage())
    Installation.objects.update(marked_at=None)
    assert installation.problem(media_storage()) == ""
    assert Installation.objects.get().marked_at is not None


# --- migrating, and moving on purpose ---------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_migrating_marks_the_storage() -> None:
    call_command("migrate", verbosity=0)
    assert media_storage().marker() == str(Installation.objects.get())


@pytest.mark.django_db(transaction=True)
def test_migrating_goes_on_without_a_storage(media_root: Path) -> None:
    media_root.write_text("no folder")
    call_command("migrate", verbosity=0)
    media_root.unlink()
    assert installation.problem(media_storage()) == ""


def test_an_operator_may_move_to_another_storage(
    stored: Stored, settings: Settings, tmp_path: Path
) -> None:
    stored(b"a photo")
    settings.STORAGES = {
        **settings.STORAGES,
        "media": {
            **settings.STORAGES["media"],
            "OPTIONS": {"root": str(tmp_path / "elsewhere")},
        },
    }
    assert "mark_storage" in installation.problem(media_storage())
    call_command("mark_storage", verbosity=0)
    assert installation.problem(media_storage()) == ""


def test_another_installations_storage_is_taken_over_only_by_name(
    media_root: Path,
) -> None:
    DiskStorage(media_root).write_marker(str(uuid4()))
    with pytest.raises(CommandError, match="another installation") as refusal:
        call_command("mark_storage")
    assert refusal.value.returncode == 4
    call_command("mark_storage", replace=True)
    assert installation.problem(media_storage()) == ""
