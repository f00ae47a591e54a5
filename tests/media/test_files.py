"""Storing a file that never was a message: once, whoever dies and whoever comes again."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connection
from pytest_django import Settings

from media_app import discovery, files, installation, tombstones
from media_app.details import LEFT_OUT
from media_app.files import Description, ErasedError, Outcome
from media_app.ingest import saving
from media_app.models import Media
from media_app.purge import purge_deleted
from media_app.record import decode
from media_app.rows_of_objects import row_of
from media_app.sources.errors import TooLargeError
from media_app.storage import Storage, StorageError, media_storage
from tests.faults.crash import dies_at
from tests.media.files import OWNER, PHOTO

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

TIME = datetime(2004, 5, 19, 12, 0, 2, tzinfo=UTC)
DETAILS = {"persona": "Zoë", "prompt": "a kitchen", "seed": 7}


def add(body: bytes | BinaryIO = PHOTO.body, **words: Any) -> Media:
    return files.add(body, **{"owner": OWNER, "occurred_at": TIME, **words})


def outcome(body: bytes = PHOTO.body, **words: Any) -> Outcome:
    said: dict[str, Any] = {"owner": OWNER, "occurred_at": TIME, **words}
    return files.put_in(body, Description(**said)).outcome


def keys() -> list[str]:
    return [found.key for found in discovery.found(OWNER)]


def test_a_file_is_stored_with_all_that_is_known() -> None:
    media = add(filename="kitchen.png", content_type="image/png", details=DETAILS)
    assert media.state == Media.State.STORED
    assert (media.occurred_at, media.time_assumed) == (TIME, False)
    assert (media.content_type, media.type_differs) == ("image/jpeg", True)
    assert media.sha256 == hashlib.sha256(PHOTO.body).hexdigest()
    assert media.details == {"persona": "Zoë", "prompt": "a kitchen", "seed": "7"}
    assert media.preview_due_at is not None
    assert keys() == [media.key]
    opened = media_storage().open_range(media.key)
    assert opened is not None
    with closing(opened):
        assert b"".join(opened.chunks()) == PHOTO.body


def test_a_row_that_was_lost_comes_back_from_the_object() -> None:
    media = add(filename="kitchen.png", details=DETAILS)
    found = media_storage().head(media.key)
    assert found is not None
    row = row_of(found, keys=())
    for name in ("id", "source", "provider_message_id", "filename", "details"):
        assert getattr(row, name) == getattr(media, name), name


def test_a_bucket_keeps_it_as_a_folder_does(in_a_bucket: None) -> None:
    media = add(filename="Küche.png", details=DETAILS)
    found = media_storage().head(media.key)
    assert found is not None
    assert row_of(found, keys=()).details == media.details
    assert outcome() == Outcome.KNOWN
    media_storage().delete([media.key])
    assert outcome() == Outcome.STORED_AGAIN


def test_the_same_file_is_added_once() -> None:
    media = add()
    assert add(BytesIO(PHOTO.body), filename="other.jpeg") == media
    assert outcome() == Outcome.KNOWN
    assert Media.objects.count() == len(keys()) == 1


def test_other_owners_times_ids_and_bytes_are_other_files() -> None:
    later = TIME + timedelta(seconds=1)
    others: list[dict[str, Any]] = [
        {"owner": f"{OWNER}1"},
        {"occurred_at": later},
        {"own_id": "1"},
        {"own_id": "2"},
        {"body": PHOTO.body + b"\0"},
        {"time_assumed": True},
    ]
    assert [outcome(**other) for other in [{}, *others]] == [Outcome.STORED] * 7
    # An assumed time, and one beside an id, tells nothing apart.
    assert outcome(occurred_at=later, time_assumed=True) == Outcome.KNOWN
    assert outcome(occurred_at=later, own_id="1") == Outcome.KNOWN


def test_two_at_once_add_one_file() -> None:
    def work(_: int) -> Outcome:
        try:
            return outcome()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(work, range(8)))
    assert found.count(Outcome.STORED) == 1
    assert found.count(Outcome.KNOWN) == 7
    assert len(keys()) == 1


def test_two_that_assume_other_times_add_one_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = iter(["import_before_put"])

    def meanwhile(name: str) -> None:
        if name == next(first, ""):
            assert outcome(time_assumed=True) == Outcome.STORED

    monkeypatch.setattr(files, "failpoint", meanwhile)
    later = TIME + timedelta(seconds=1)
    assert outcome(time_assumed=True, occurred_at=later) == Outcome.KNOWN
    assert keys() == [Media.objects.get().key]


@pytest.mark.parametrize(
    "point", ["import_before_put", "import_after_put", "import_after_row"]
)
@pytest.mark.parametrize("words", [{}, {"occurred_at": None}])
def test_who_dies_is_followed_by_the_same_call(
    point: str, words: dict[str, Any]
) -> None:
    dies_at(point, lambda: add(**words))
    media = add(**words)
    assert keys() == [media.key]
    assert Media.objects.get().is_stored


def test_what_the_storage_has_lost_is_stored_again() -> None:
    media = add()
    media_storage().delete([media.key])
    assert outcome() == Outcome.STORED_AGAIN
    assert keys() == [media.key]
    assert Media.objects.get().is_stored


@pytest.mark.parametrize("is_purged", [False, True])
def test_what_was_deleted_stays_deleted(is_purged: bool) -> None:
    add()
    Media.objects.all().mark_deleted("by staff")
    if is_purged:
        purge_deleted()
    assert outcome() == Outcome.DELETED
    assert Media.objects.get().state == Media.State.DELETED


def test_what_was_erased_does_not_come_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ERASURE_KEY = ["k" * 50]
    media = add()
    tombstones.add([tombstones.digest_of(str(media.id))], uuid4())
    Media.objects.all().delete()
    media_storage().delete([media.key])
    # Not even for a moment.
    monkeypatch.delattr(files, "save")
    with pytest.raises(ErasedError):
        add()
    assert keys() == []
    assert not Media.objects.exists()


def test_what_is_erased_while_it_is_put_is_removed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ERASURE_KEY = ["k" * 50]

    def erase(storage: Storage, media: Media, *rest: Any) -> Any:
        tombstones.add([tombstones.digest_of(str(media.id))], uuid4())
        return save(storage, media, *rest)

    save = saving.save
    monkeypatch.setattr(files, "save", erase)
    with pytest.raises(ErasedError):
        add()
    assert keys() == []
    assert not Media.objects.exists()


@pytest.mark.parametrize("erasure_key", [[], ["k" * 50]], ids=["cleanup", "erasure"])
def test_an_object_that_was_taken_as_nobodys_is_missing(
    erasure_key: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ERASURE_KEY = erasure_key

    def put_in_vain(storage: Storage, *rest: Any) -> Any:
        saved = save(storage, *rest)
        storage.delete([saved.key])
        return saved

    save = saving.save
    with monkeypatch.context() as patch:
        patch.setattr(files, "save", put_in_vain)
        with pytest.raises(StorageError):
            add()
    assert Media.objects.get().state == Media.State.MISSING
    assert outcome() == Outcome.STORED_AGAIN


def test_details_that_find_no_room_are_named() -> None:
    story = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(4000))
    description = Description(
        owner=OWNER, occurred_at=TIME, details={**DETAILS, "story": story}
    )
    added = files.put_in(PHOTO.body, description)
    assert added.left_out == "story"
    assert added.media.details["story"] == story
    found = media_storage().head(added.media.key)
    assert found is not None
    record = decode(found.metadata or {}, keys=django_settings.MEDIA_METADATA_KEYS)
    assert record.details[LEFT_OUT] == "story"
    assert record.details["persona"] == "Zoë"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"body": b""}, "empty"),
        ({"owner": "+14335551212"}, "owner"),
        ({"owner": "whatsapp:../x"}, "owner"),
        ({"occurred_at": datetime(2024, 1, 1)}, "zone"),
        ({"occurred_at": datetime(1969, 1, 1, tzinfo=UTC)}, "1970"),
        ({"occurred_at": datetime(2124, 1, 1, tzinfo=UTC)}, "tomorrow"),
    ],
)
def test_what_no_file_can_have_is_refused(words: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        add(**words)
    assert not Media.objects.exists()


def test_the_largest_file_is_the_hubs(settings: Settings) -> None:
    settings.MEDIA_MAX_BYTES = len(PHOTO.body) - 1
    with pytest.raises(TooLargeError):
        add()


def test_nothing_is_put_into_a_foreign_storage(media_root: Path) -> None:
    add()
    (media_root / ".mediahub").write_text("another")
    with pytest.raises(installation.ForeignStorageError):
        add(own_id="2")
    assert len(keys()) == 1


def test_nobody_fetches_an_imported_file() -> None:
    media = add()
    Media.objects.mark_missing(media.id)
    assert Media.objects.all().retry_now() == 0
    assert Media.objects.get().state == Media.State.MISSING
