"""Deleted files wait before their objects are removed, and come back until then."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.purge import purge_deleted
from media_app.restoring import Restored, restore
from media_app.storage import StorageError, media_storage
from media_app.timing import DELETED_FILES_WAIT
from tests.faults.crash import dies_at
from tests.media.browser import Browser
from tests.media.files import (
    Announced,
    Stored,
    announcement,
    keep,
    lease_runs_out,
    run_out,
)
from tests.storage.buckets import keys, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State
DIGEST = sha256(b"a photo").hexdigest()


@pytest.fixture
def waiting(stored: Stored) -> Media:
    """A stored file that staff have just deleted."""
    media = stored(b"a photo")
    Media.objects.update(sha256=DIGEST)
    assert Media.objects.all().mark_deleted("by staff", wait=DELETED_FILES_WAIT) == 1
    media.refresh_from_db()
    return media


def state() -> str:
    return Media.objects.get().state


def test_what_staff_delete_is_purged_thirty_days_later(waiting: Media) -> None:
    assert (purge_deleted(), keys(media_storage())) == (0, [waiting.key])
    run_out(purge_after=timedelta(0))
    assert restore(waiting.id) == Restored.SKIPPED
    assert (purge_deleted(), keys(media_storage())) == (1, [])


def test_until_then_it_is_restored(waiting: Media) -> None:
    assert restore(waiting.id) == Restored.STORED
    media = Media.objects.get()
    assert (media.state, media.purge_after, media.last_error) == ("stored", None, "")
    assert (media.lease_token, media.lease_until) == (None, None)
    assert restore(waiting.id) == Restored.SKIPPED


def test_while_it_waits_nobody_sees_it(waiting: Media, viewer: Browser) -> None:
    for address in (f"/media/{waiting.id}/", f"/media/{waiting.id}/preview/"):
        assert viewer.get(address).status_code == 404


@pytest.mark.parametrize("body", [None, b"a phot", b"a ph0to"])
def test_a_lost_or_wrong_object_is_missing(waiting: Media, body: bytes | None) -> None:
    media_storage().delete([waiting.key])
    if body is not None:
        put(media_storage(), waiting.key, body)
    assert restore(waiting.id) == Restored.MISSING
    assert state() == State.MISSING


def test_in_a_foreign_storage_nothing_is_missing(waiting: Media) -> None:
    media_storage().write_marker("another", replace=True)
    media_storage().delete([waiting.key])
    with pytest.raises(StorageError):
        restore(waiting.id)
    assert state() == State.DELETED
    assert Media.objects.get().lease_until is None


@pytest.mark.parametrize("again", ["RESET", "announced"])
def test_what_happens_while_it_is_read_wins(
    waiting: Media, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = type(media_storage()).head

    def overtaken(self: Any, key: str) -> Any:
        if again == "RESET":
            assert Media.objects.all().mark_deleted("RESET") == 1
            assert purge_deleted() == 0
        else:
            assert Media.objects.all().revive() == 1
            assert Media.objects.claim() is None
        return head(self, key)

    monkeypatch.setattr(type(media_storage()), "head", overtaken)
    assert restore(waiting.id) == Restored.SKIPPED
    assert state() == (State.DELETED if again == "RESET" else State.PENDING)


def test_a_killed_restoration_leaves_it_to_the_next(waiting: Media) -> None:
    dies_at("restore_after_claim", lambda: restore(waiting.id))
    assert restore(waiting.id) == Restored.SKIPPED
    lease_runs_out()
    assert restore(waiting.id) == Restored.STORED


def test_a_reset_does_not_wait(waiting: Media) -> None:
    assert Media.objects.all().mark_deleted("RESET") == 1
    assert Media.objects.all().mark_deleted("RESET") == 0
    assert (purge_deleted(), keys(media_storage())) == (1, [])


def test_what_was_never_stored_does_not_wait(announced: Announced) -> None:
    announced()
    Media.objects.all().mark_deleted("by staff", wait=DELETED_FILES_WAIT)
    assert Media.objects.unpurged().count() == 1


def test_a_file_that_is_sent_again_is_not_downloaded_again(stored: Stored) -> None:
    words = {"provider_media_id": "1", "sha256": DIGEST}
    media = stored(b"a photo", **words)
    Media.objects.all().mark_deleted("by staff", wait=DELETED_FILES_WAIT)
    keep(announcement(**words), new=[media.id])
    assert Media.objects.get().purge_after is None
    # There is no provider: it could not be fetched.
    assert ingest_next() == media
    assert state() == State.STORED
