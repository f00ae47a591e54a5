"""A backup is restored: whoever was erased since then is erased again."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import models, transaction
from pytest_django.fixtures import Settings

from media_app import tombstones
from media_app.identity import ERASURES
from media_app.models import Installation, Media, Tombstone
from media_app.storage import media_storage
from media_app.tombstones import KeyMissingError
from messages_app.erasing import flow
from messages_app.models import Attachment, ErasureRequest, Message
from tests.faults import crash
from tests.messages.erasing.world import (
    erase,
    left_of_ada,
    others,
    people,
    photo,
    settle,
)
from tests.messages.mail import ADA, arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


class Backup:
    """All rows of ours, and all objects, as they are now."""

    def __init__(self, root: Path) -> None:
        self._root, self._copy = root, root.with_name("backup")
        shutil.copytree(root, self._copy)
        rows = [row for model in _tables() for row in model._base_manager.all()]
        self._rows = serializers.serialize("json", rows)

    def restore_database(self) -> None:
        with transaction.atomic():
            for model in reversed(_tables()):
                if model is not Installation:
                    model._base_manager.all().delete()
            for row in serializers.deserialize("json", self._rows):
                row.save()

    def restore_bucket(self, *, whole: bool = False) -> None:
        """Over what is there; ``whole``: what came later is gone."""
        if whole:
            shutil.rmtree(self._root)
        shutil.copytree(self._copy, self._root, dirs_exist_ok=True)


def _tables() -> list[type[models.Model]]:
    of_ours = [
        model
        for label in ("media_app", "messages_app")
        for model in apps.get_app_config(label).get_models()
    ]
    return [model for model in of_ours if model is not ErasureRequest] + [
        ErasureRequest
    ]


def a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_records_compared_at", None)


@pytest.fixture
def backup(media_root: Path) -> Backup:
    """Yesterday's; Ada was erased after it."""
    people()
    saved = Backup(media_root)
    assert erase("+14335551212", "--apply")[0] == 0
    return saved


@pytest.mark.parametrize("what", ["database", "bucket", "both", "both as a whole"])
def test_a_restored_backup_is_erased_again(
    what: str, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what != "bucket":
        backup.restore_database()
    if what != "database":
        backup.restore_bucket(whole=what in ("bucket", "both as a whole"))
    assert left_of_ada() != []
    before = others()
    a_new_process(monkeypatch)
    flow.sweep()
    assert left_of_ada() == []
    assert others() == before
    assert ErasureRequest.objects.get().state == "done"


def test_what_was_sent_after_the_restore_stays(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.restore_database()
    arrive(crash.album(photo(1), photo(50)))
    settle()
    a_new_process(monkeypatch)
    flow.sweep()
    assert Message.objects.get(contact__owners__owner=ADA).provider_message_id == (
        photo(50).message_id
    )
    assert Media.objects.get(owner=ADA).state == "stored"


def test_a_later_photo_without_a_row_stays(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(crash.album(photo(50)))
    settle()
    later = Media.objects.get(owner=ADA)
    backup.restore_database()
    a_new_process(monkeypatch)
    flow.sweep()
    assert media_storage().head(later.key)
    assert not tombstones.erased([later.id])


def test_a_record_that_cannot_be_read_stops_no_other(
    backup: Backup, monkeypatch: pytest.MonkeyPatch, media_root: Path
) -> None:
    backup.restore_database()
    broken = media_root / ERASURES / "00000000-0000-0000-0000-000000000000.json"
    broken.write_text("{")
    a_new_process(monkeypatch)
    flow.sweep()
    assert left_of_ada() == []


def test_the_records_name_nobody(backup: Backup) -> None:
    (record,) = media_storage().list(ERASURES)
    opened = media_storage().open_range(record.key)
    assert opened is not None
    text = b"".join(opened.chunks()).decode()
    opened.close()
    assert "4335551212" not in text and "Ada" not in text
    assert all(
        digest in text for digest in Tombstone.objects.values_list("pk", flat=True)
    )


def test_without_the_key_the_sweep_says_so(backup: Backup, settings: Settings) -> None:
    settings.ERASURE_KEY = []
    with pytest.raises(KeyMissingError, match="ERASURE_KEY is not set"):
        flow.sweep()


def adopt_all() -> int:
    """Make all rows again, in a database that has none; the exit code."""
    with transaction.atomic():
        for model in (Attachment, Media, Tombstone, ErasureRequest):
            model._base_manager.all().delete()
    ask = ("reconcile_media", "--adopt", "--apply")
    try:
        call_command(*ask, stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        return error.returncode
    return 0


def test_objects_of_a_restored_bucket_do_not_bring_the_person_back(
    backup: Backup,
) -> None:
    backup.restore_bucket()
    assert adopt_all() == 3
    assert Media.objects.exists()
    assert not Media.objects.filter(owner=ADA).exists()


def test_without_the_key_nothing_is_adopted(backup: Backup, settings: Settings) -> None:
    settings.ERASURE_KEY = []
    assert adopt_all() == 4
    assert not Media.objects.exists()
