"""The command that deletes: by a plan, only what is still as planned, and never much."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from media_app import purge
from media_app.cleanup import guards
from media_app.clock import database_now
from media_app.models import CommandRun, Installation, Media, Sighting
from media_app.purge import purge_deleted
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.management.commands import cleanup_media
from messages_app.models import Attachment, Contact, Message
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, dies_at, photo, recover
from tests.media.bucket import Bucket
from tests.messages.mail import ADA, arrive
from tests.storage.buckets import keys, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State
ALL = ("--max-delete-percent", "100")
ORPHAN = f"{ADA}/1716120082-0-3fa9c1d2e4b7.jpeg"
PREVIEW = f"previews/{ADA}/1716120082-0-3fa9c1d2e4b8.jpeg/320.webp"
DAYS = timedelta(days=3)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files(provider: SimulatedProvider) -> list[Media]:
    """Three stored files of one sender."""
    arrive(album(photo(1), photo(2), photo(3)))
    inbox.drain()
    recover()
    age(*keys(media_storage()))
    return list(Media.objects.order_by("key"))


@pytest.fixture
def over(files: list[Media], settings: Settings) -> list[Media]:
    """Their retention period is over."""
    settings.MEDIA_RETENTION_DAYS = 30
    Media.objects.update(
        occurred_at=F("occurred_at") - timedelta(days=60),
        announced_at=F("announced_at") - timedelta(days=60),
    )
    Contact.objects.update(last_message_at=Now() - timedelta(days=60))
    return files


def cleanup(*options: str, code: int = 0) -> list[dict[str, Any]]:
    """Its lines, the summary last."""
    out, ended = StringIO(), 0
    try:
        call_command("cleanup_media", "--json", *options, stdout=out, stderr=StringIO())
    except CommandError as error:
        ended = error.returncode
    assert ended == code, out.getvalue()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def plan(*options: str) -> dict[str, str]:
    """Write a plan; what it lists, as kinds by key."""
    Path("plan").unlink(missing_ok=True)
    lines = cleanup("--plan", "plan", *options)
    return {line["key"]: line["kind"] for line in lines if "kind" in line}


def applied(*options: str, code: int = 0) -> dict[str, str]:
    """Apply the plan; what became of each key."""
    lines = cleanup("--apply", "plan", *(options or ALL), code=code)
    return {line["key"]: line["result"] for line in lines if "result" in line}


def reason(*options: str) -> str:
    """Why the command refuses."""
    cleanup(*options, code=4)
    return CommandRun.objects.filter(state="refused").latest("started_at").reason


def age(*names: str) -> None:
    """Let these files of the folder be days old."""
    storage: Any = media_storage()
    for name in names:
        then = (storage.root / name).stat().st_mtime - DAYS.total_seconds()
        os.utime(storage.root / name, (then, then))


def lay(key: str = ORPHAN, body: bytes = b"a photo") -> None:
    put(media_storage(), key, body)
    age(key)


def a_day_passes() -> None:
    Sighting.objects.update(
        first_seen_at=F("first_seen_at") - DAYS, seen_at=F("seen_at") - DAYS
    )


def lose_rows(**which: object) -> None:
    lost = Media.objects.filter(**which)
    Attachment.objects.filter(media__in=lost).delete()
    lost.delete()


def see_twice() -> dict[str, str]:
    """What the second of two runs plans."""
    assert not plan()
    a_day_passes()
    return plan()


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


def test_a_file_that_takes_the_object_at_the_last_moment_is_fetched_again(
    files: list[Media], media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Bucket(media_root)
    for module in (cleanup_media, purge):
        monkeypatch.setattr(module, "media_storage", lambda: shelf)
    lay()
    see_twice()
    shelf.before_delete = lambda: own(ORPHAN)
    applied()
    assert Media.objects.get(key=ORPHAN).state == State.PENDING


# --- disasters ------------------------------------------------------------------------


def test_an_empty_database_is_refused(files: list[Media]) -> None:
    lose_rows()
    assert "no files" in reason()


def test_a_foreign_storage_is_refused(over: list[Media]) -> None:
    plan()
    media_storage().write_marker("another", replace=True)
    assert "another installation" in reason()
    assert "another installation" in reason("--apply", "plan", *ALL)


def test_a_plan_of_another_installation_is_refused(over: list[Media]) -> None:
    plan()
    id = uuid4()
    Installation.objects.update(id=id)
    media_storage().write_marker(str(id), replace=True)
    assert "another installation" in reason("--apply", "plan", *ALL)


def edit(change: Callable[[str], str], *, recorded: bool = False) -> None:
    """Change the text of the plan; ``recorded`` as if a run had written it so."""
    text = change(Path("plan").read_text())
    Path("plan").write_text(text)
    if recorded:
        digest = hashlib.sha256(text.encode()).hexdigest()
        CommandRun.objects.update(plan_digest=digest)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"size": ', '"size": 1'),
        lambda text: text[: text.rindex("{")],
        lambda text: text[:-9],
        lambda text: "",
    ],
    ids=["edited", "cut after a line", "cut within a line", "empty"],
)
def test_an_edited_or_damaged_plan_is_refused(
    over: list[Media], change: Callable[[str], str]
) -> None:
    plan()
    edit(change)
    for _ in range(2):
        assert "plan" in reason("--apply", "plan", *ALL)
    assert not Media.objects.filter(state=State.DELETED).exists()


def test_a_plan_of_last_week_is_refused_but_can_be_undone(over: list[Media]) -> None:
    plan()
    applied()
    made_at = json.loads(Path("plan").read_text().splitlines()[0])["at"]
    then = database_now() - timedelta(days=8)
    edit(lambda text: text.replace(made_at, then.isoformat()), recorded=True)
    assert "8 days old" in reason("--apply", "plan", *ALL)
    assert set(applied("--restore").values()) == {"restored"}


@pytest.mark.parametrize(
    "limit",
    [("--max-delete", "2", *ALL), ("--max-delete-percent", "99"), ()],
)
def test_over_a_limit_nothing_at_all_is_deleted(
    over: list[Media], limit: tuple[str, ...]
) -> None:
    plan()
    assert "Nothing was deleted" in reason("--apply", "plan", *limit)
    assert Media.objects.filter(state=State.STORED).count() == 3


def test_a_part_may_be_planned(over: list[Media]) -> None:
    plan("--limit", "1")
    assert len(applied("--max-delete", "1", *ALL)) == 1
    assert Media.objects.filter(state=State.STORED).count() == 2


def test_a_clock_one_year_ahead_is_refused(
    over: list[Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = database_now() + timedelta(days=365)
    monkeypatch.setattr(guards, "database_now", lambda: ahead)
    assert "clocks" in reason()


def test_after_a_year_of_silence_the_clock_has_to_be_confirmed(
    over: list[Media],
) -> None:
    Message.objects.update(occurred_at=Now() - timedelta(days=365))
    assert "365 days old" in reason()
    assert len(plan("--clock-is-right")) == 3


def test_half_of_the_files_missing_is_refused(over: list[Media]) -> None:
    plan()
    media_storage().delete([media.key for media in over[:2]])
    assert "2 of 3 stored files" in reason()
    assert "2 of 3 stored files" in reason("--apply", "plan", *ALL)
    assert not Media.objects.filter(state=State.DELETED).exists()


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
