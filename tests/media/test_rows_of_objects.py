"""A row made again from its object is the row that was lost, or there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.record import RecordError, encode
from media_app.rows_of_objects import ContradictionError, row_of
from media_app.storage import StoredObject, media_storage
from tests.media.files import Sent
from tests.media.test_record import ID, RECORD

FOUND = StoredObject(
    key="whatsapp:+14335551212/1716120082-0-3fa9c1d2e4b7.jpeg",
    size=12345,
    modified=datetime(2024, 5, 19, 12, tzinfo=UTC),
    metadata=encode(RECORD, id=ID, sha256="a" * 64, keys=()),
)
# What only the hub knows: it begins anew.
NOT_IN_OBJECTS = {
    "announced_sha256",
    "attempts",
    "next_attempt_at",
    "preview_due_at",
    "stored_at",
}


def with_record(**values: Any) -> StoredObject:
    record = replace(RECORD, **values)
    return replace(FOUND, metadata=encode(record, id=ID, sha256="a" * 64, keys=()))


def with_metadata(**values: str) -> StoredObject:
    names = {name.replace("_", "-"): value for name, value in values.items()}
    return replace(FOUND, metadata={**(FOUND.metadata or {}), **names})


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize("source", ["meta", "twilio"])
def test_it_is_the_row_that_was_lost(sent: Sent, source: str) -> None:
    media = sent(source, filename="Küche.jpg")
    ingest_next()
    before = Media.objects.filter(id=media.id).values().get()
    found = media_storage().head(media.key)
    assert found is not None
    Media.objects.filter(id=media.id).delete()
    row_of(found, keys=()).save(force_insert=True)
    after = Media.objects.filter(id=media.id).values().get()
    differing = {name for name in before if before[name] != after[name]}
    assert differing <= NOT_IN_OBJECTS


def test_an_object_without_metadata_has_no_row() -> None:
    with pytest.raises(RecordError):
        row_of(replace(FOUND, metadata={}), keys=())


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(FOUND, key="backup.zip"), "not one of ours"),
        (replace(FOUND, key=FOUND.key.replace("3fa9", "4fa9")), "another file's"),
        (replace(FOUND, key=FOUND.key.replace("+1433", "+1434")), "another owner's"),
        (replace(FOUND, size=12344), "12,344 bytes, the record says 12,345"),
        (with_metadata(sha256=""), "no digest"),
        (with_metadata(sha256="A" * 64), "no digest"),
        (with_metadata(media_id="3fa9c1d2e4b7"), "no file has"),
        (with_record(occurred_at=1e300), "no file has"),
        (with_record(occurred_at=float("nan")), "no file has"),
        (with_record(occurred_at="yesterday"), "no file has"),
        (with_record(announced_at=None), "no file has"),
        (with_record(position=-1), "no file has"),
        (with_record(position=None), "no file has"),
        (with_record(size="big"), "no file has"),
        (with_record(owner="whatsapp:" + "1" * 200), "no file has"),
        (with_record(source=""), "no file has"),
        (with_record(details="persona"), "no file has"),
    ],
)
def test_what_contradicts_itself_has_no_row(found: StoredObject, why: str) -> None:
    with pytest.raises(ContradictionError, match=why):
        row_of(found, keys=())


def test_a_source_that_is_gone_still_has_its_files() -> None:
    row = row_of(with_record(source="former"), keys=())
    assert (row.source, row.expires_at) == ("former", None)
