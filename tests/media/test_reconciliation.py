"""Rows and objects compared: everything that is wrong is found, and nothing that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from media_app import installation
from media_app.ingest import ingest_next
from media_app.models import Installation, Media
from media_app.previews import preview_key
from media_app.reconciliation.comparison import Finding, Kind, compare
from media_app.reconciliation.reconciling import reconcile
from media_app.reconciliation.shares import ALL, Share, mark_read, next_share
from media_app.reconciliation.walk import Row, merged, rows
from media_app.storage import DiskStorage, StorageError, StoredObject
from tests.media.files import OWNER, Announced, Sent

State = Media.State
NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = f"{OWNER}/1716120082-0-3fa9c1d2e4b7.jpeg"


def row(state: str = State.STORED, **values: Any) -> Row:
    facts = {"id": uuid4(), "size": 7, "sha256": "a" * 64, "stored_at": NOW}
    return Row(**{"key": KEY, "state": state, "purged_at": None, **facts, **values})


def found(key: str = KEY, size: int = 7) -> StoredObject:
    return StoredObject(key=key, size=size, modified=NOW)


# --- the rules -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "with_object", "without_object"),
    [
        (row(), "=", "-"),
        (row(size=8), "*", "-"),
        (row(State.MISSING), "*", "-"),
        (row(State.PENDING), "", ""),
        (row(State.FETCHING), "", ""),
        (row(State.RETRYING), "", ""),
        (row(State.EXPIRED), "*", ""),
        (row(State.REJECTED), "*", ""),
        (row(State.DELETED), "", ""),
        (row(State.DELETED, purged_at=NOW), "+", ""),
    ],
)
def test_what_row_and_object_mean(
    row: Row, with_object: str, without_object: str
) -> None:
    assert compare(KEY, row, found()).sign == with_object
    assert compare(KEY, row, None).sign == without_object


def test_other_bytes_of_the_same_size_differ() -> None:
    assert compare(KEY, row(), found(), "a" * 64).kind == Kind.SAME
    finding = compare(KEY, row(), found(), "b" * 64)
    assert finding.differs == {"sha256": ("a" * 64, "b" * 64)}
    assert finding.has_wrong_bytes


def test_ten_shares_of_ten_percent_are_everything_once() -> None:
    ids = [uuid4().hex for _ in range(2000)]
    shares = [Share(first, 1000) for first in range(0, 10_000, 1000)]
    read = [hex for share in shares for hex in ids if share.includes(hex)]
    assert sorted(read) == sorted(ids)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_share_is_read_again_until_its_run_has_ended() -> None:
    assert next_share(10.0) == next_share(10.0) == Share(0, 1000)
    for _ in range(9):
        mark_read(next_share(10.0))
    assert next_share(15.0) == Share(9000, 1500)
    mark_read(Share(9000, 1500))
    mark_read(Share(9000, 1500))
    assert Installation.objects.get().next_share == 500


# --- the walk --------------------------------------------------------------------

# In the order of their bytes, and in no other one.
KEYS = [
    "messenger:A-b/1-0-000000000000.jpeg",
    "messenger:A/1-0-000000000000.jpeg",
    "messenger:a/1-0-000000000000.jpeg",
    "whatsapp:+1433/1-0-000000000000.jpeg",
    "whatsapp:+14335/1-0-000000000000.jpeg",
    "whatsapp:US.1/1-0-000000000000.jpeg",
    "whatsapp:unknown/1-0-000000000000.jpeg",
    "whatsapp:ä/1-0-000000000000.jpeg",
]


@pytest.mark.django_db
@pytest.mark.both_databases
def test_rows_come_in_the_order_of_objects(
    announced: Announced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_app.reconciliation.walk.PAGE", 3)
    storage = DiskStorage(tmp_path)
    for key in sorted(KEYS, key=str.casefold):
        Media.objects.filter(id=announced().id).update(key=key)
        storage.put(key, BytesIO(b"x"), size=1, content_type="", metadata={})
    assert [each.key for each in rows()] == KEYS
    assert [each.key for each in storage.list("")] == KEYS
    assert [each.key for each in rows("whatsapp:+1433/")] == KEYS[3:4]


def test_each_key_is_a_pair() -> None:
    walked = merged(
        [row(key="a"), row(key="c"), row(key="d")],
        [found("b"), found("c"), found("e")],
    )
    assert [(each.key, bool(each.row), bool(each.found)) for each in walked] == [
        ("a", True, False),
        ("b", False, True),
        ("c", True, True),
        ("d", True, False),
        ("e", False, True),
    ]


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"]])
def test_a_list_out_of_order_is_an_error(keys: Sequence[str]) -> None:
    with pytest.raises(StorageError, match="order"):
        list(merged([], [found(key) for key in keys]))


# --- in a storage that works -----------------------------------------------------


def nothing() -> None:
    pass


class Shelf(DiskStorage):
    """The real folder storage; a test steps in before it is listed, or after it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before_listing: Callable[[], Any] = nothing
        self.after_listing: Callable[[], Any] = nothing

    def list(self, prefix: str) -> Any:
        self.before_listing()
        listed = [*super().list(prefix)]
        self.after_listing()
        yield from listed

    def lay(self, key: str, body: bytes = b"a file") -> None:
        self.put(
            key,
            BytesIO(body),
            size=len(body),
            content_type="image/jpeg",
            metadata={},
            replace=True,
        )


@pytest.fixture
def shelf(media_root: Path, db: None) -> Shelf:
    shelf = Shelf(media_root)
    installation.check(shelf)
    return shelf


@pytest.fixture
def kept(sent: Sent) -> Media:
    """A file that was fetched and stored."""
    media = sent()
    ingest_next()
    media.refresh_from_db()
    assert media.is_stored
    return media


def signs(findings: Iterable[Finding]) -> dict[str, str]:
    return {each.key: each.sign for each in findings if each.sign not in ("", "=")}


@pytest.mark.both_databases
def test_what_is_right_is_no_finding(shelf: Shelf, kept: Media, sent: Sent) -> None:
    shelf.lay(preview_key(kept, 320))
    waiting = sent()
    findings = list(reconcile(shelf, share=ALL))
    assert {each.key: each.kind for each in findings} == {
        kept.key: Kind.SAME,
        preview_key(kept, 320): Kind.PREVIEW,
        waiting.key: Kind.NOT_STORED,
    }


@pytest.mark.both_databases
def test_what_is_wrong_is_found(shelf: Shelf, sent: Sent) -> None:
    lost, cut, altered = [sent() for _ in range(3)]
    for _ in range(3):
        ingest_next()
    body = (shelf.root / altered.key).read_bytes()
    shelf.delete([lost.key])
    (shelf.root / cut.key).write_bytes(b"cut")
    (shelf.root / altered.key).write_bytes(body[:-1] + b"?")
    shelf.lay(KEY)
    shelf.lay(f"previews/{KEY}/320.webp")
    shelf.lay("backup.zip")
    unread = {
        lost.key: "-",
        cut.key: "*",
        KEY: "+",
        f"previews/{KEY}/320.webp": "+",
        "backup.zip": "+",
    }
    assert signs(reconcile(shelf)) == unread
    assert signs(reconcile(shelf, share=ALL)) == {**unread, altered.key: "*"}


def test_one_sender_is_not_their_neighbours(shelf: Shelf) -> None:
    for owner in ("whatsapp:+1433555", "whatsapp:+14335551212", "sms:+14335551212"):
        shelf.lay(f"{owner}/1-0-000000000000.jpeg")
        shelf.lay(f"previews/{owner}/1-0-000000000000.jpeg/320.webp")
    assert {*signs(reconcile(shelf, OWNER))} == {
        f"{OWNER}/1-0-000000000000.jpeg",
        f"previews/{OWNER}/1-0-000000000000.jpeg/320.webp",
    }


def delete(shelf: Shelf, media: Media) -> None:
    Media.objects.filter(id=media.id).mark_deleted("by staff")
    shelf.delete([media.key])


def forget_and_fetch_again(shelf: Shelf, media: Media) -> None:
    shelf.delete([media.key])
    Media.objects.mark_missing(media.id)
    Media.objects.filter(id=media.id).revive()
    shelf.after_listing = ingest_next


def replace_object(shelf: Shelf, media: Media) -> None:
    shelf.lay(media.key, b"another one")
    Media.objects.filter(id=media.id).update(size=11)


def announce_and_fetch(shelf: Shelf, media: Media) -> None:
    id = media.id
    Media.objects.filter(id=id).delete()
    shelf.after_listing = lambda: media.save(force_insert=True)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "happens", [delete, forget_and_fetch_again, replace_object, announce_and_fetch]
)
def test_what_happens_meanwhile_is_no_finding(
    shelf: Shelf, kept: Media, happens: Callable[[Shelf, Media], None]
) -> None:
    # Rows are read before objects are listed.
    shelf.before_listing = lambda: happens(shelf, kept)
    if happens is announce_and_fetch:
        announce_and_fetch(shelf, kept)
        shelf.before_listing = nothing
    assert signs(reconcile(shelf)) == {}


def test_a_put_before_its_mark_is_no_finding(
    shelf: Shelf, announced: Announced
) -> None:
    media = announced()
    assert Media.objects.claim() is not None
    other = media.key.replace("-0-", "-1-")
    shelf.lay(other)
    assert signs(reconcile(shelf)) == {}


def test_an_unmounted_folder_is_no_loss(shelf: Shelf, kept: Media) -> None:
    def unmount() -> None:
        shelf.root.rename(shelf.root.with_name("elsewhere"))
        shelf.root.mkdir()

    shelf.after_listing = unmount
    shelf.delete([kept.key])
    with pytest.raises(installation.ForeignStorageError):
        list(reconcile(shelf))


def damage_metadata(shelf: Shelf, media: Media) -> None:
    path = shelf.root / media.key
    path.with_name(f".{path.name}.meta").write_text("{")


@pytest.mark.both_databases
def test_an_object_that_cannot_be_read_is_an_error(shelf: Shelf, kept: Media) -> None:
    damage_metadata(shelf, kept)
    assert signs(reconcile(shelf, share=ALL)) == {kept.key: "!"}


def test_a_storage_that_goes_down_is_no_error_of_files(
    shelf: Shelf, kept: Media
) -> None:
    shelf.after_listing = lambda: shelf.root.rename(shelf.root.with_name("gone"))
    with pytest.raises(StorageError):
        list(reconcile(shelf, share=ALL))
