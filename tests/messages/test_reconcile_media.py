"""The command that compares rows and objects, and brings them together again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from media_app import rate, tombstones
from media_app.ingest.flow import fetch
from media_app.models import AccountPause, CommandRun, Installation, Media
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.models import Attachment
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, dies_at, objects, photo, recover, twilio
from tests.messages.mail import arrive
from tests.messages.rows import all_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State
#: Where a run can be made to die.
REPAIRING = ("repair_after_missing", "repair_after_put")
ADOPTING = ("adoption_before_link",)


@pytest.fixture(autouse=True)
def any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "FILES_PER_SECOND", 10_000)


@pytest.fixture
def files(provider: SimulatedProvider) -> list[Media]:
    """Three stored files, two of a message by Meta and one of a message by Twilio."""
    arrive(album(photo(1), photo(2)), twilio(photo(3, "twilio")))
    inbox.drain()
    recover()
    return list(Media.objects.order_by("key"))


def reconcile(*options: str, code: int = 0) -> list[dict[str, Any]]:
    """Its lines, the summary last."""
    out, ended = StringIO(), 0
    try:
        call_command(
            "reconcile_media", "--json", *options, stdout=out, stderr=StringIO()
        )
    except CommandError as error:
        ended = error.returncode
    assert ended == code, out.getvalue()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def signs(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {line["key"]: line["sign"] for line in lines if "sign" in line}


def path(media: Media) -> Path:
    storage: Any = media_storage()
    return Path(storage.root / media.key)


def lose(media: Media) -> None:
    media_storage().delete([media.key])


def cut(media: Media) -> None:
    path(media).write_bytes(path(media).read_bytes()[:-1])


def alter(media: Media) -> None:
    body = path(media).read_bytes()
    path(media).write_bytes(body[:-1] + bytes([body[-1] ^ 1]))


def mark_missing(media: Media) -> None:
    Media.objects.mark_missing(media.id)


def test_all_is_the_same_after_the_ordinary_way(files: list[Media]) -> None:
    *lines, summary = reconcile("--verify", "--repair", "--adopt", "--apply")
    assert signs(lines) == {media.key: "=" for media in files}
    assert summary["counts"] == {"same": 3}
    assert CommandRun.objects.get().counts == {"same": 3}


@pytest.mark.parametrize("harm", [lose, cut, alter, mark_missing])
def test_what_is_harmed_is_told_and_then_repaired(
    files: list[Media], harm: Callable[[Media], None]
) -> None:
    before, rows = objects(), all_rows()
    harm(files[0])
    harmed = (objects(), all_rows())
    *lines, summary = reconcile("--verify", "--repair")
    sign = "-" if harm is lose else "*"
    assert signs(lines) == {files[0].key: sign, files[1].key: "=", files[2].key: "="}
    assert summary["counts"]["repairable"] == 1
    assert (objects(), all_rows()) == harmed
    *_, summary = reconcile("--verify", "--repair", "--apply")
    assert summary["counts"]["repaired"] == 1
    assert objects() == before
    assert states(all_rows()) == states(rows)
    assert reconcile("--verify")[-1]["counts"] == {"same": 3}


def states(rows: dict[str, list[dict[str, Any]]]) -> list[tuple[Any, ...]]:
    kept = ("id", "key", "owner", "occurred_at", "state", "sha256", "size")
    return [tuple(row[name] for name in kept) for row in rows["Media"]]


@pytest.mark.parametrize("harm", [lose, alter])
def test_what_the_provider_lacks_is_told(
    files: list[Media], harm: Callable[[Media], None], provider: SimulatedProvider
) -> None:
    harm(files[0])
    provider.expired = {files[0].provider_media_id}
    line, *_ = reconcile("--verify", "--repair", "--apply", code=3)
    assert line["key"] == files[0].key
    assert line["outcome"] == "not_repaired"
    # What is altered is still there for staff.
    files[0].refresh_from_db()
    assert files[0].is_stored == (harm is alter)
    provider.expired = set()
    recover()
    assert reconcile("--verify", "--repair", "--apply")[-1]["outcome"] == "done"
    assert reconcile("--verify")[-1]["counts"] == {"same": 3}


def test_a_lost_import_is_missing(files: list[Media]) -> None:
    Media.objects.filter(id=files[0].id).update(source="import")
    lose(files[0])
    line, *_ = reconcile("--repair", "--apply", code=3)
    assert line["outcome"] == "not_repaired"
    assert Media.objects.get(id=files[0].id).state == State.MISSING


def test_other_bytes_of_the_provider_replace_nothing(
    files: list[Media],
) -> None:
    Media.objects.filter(id=files[0].id).update(sha256="0" * 64, announced_sha256="")
    before = objects()
    line, *_ = reconcile("--verify", "--repair", "--apply", code=3)
    assert line["outcome"] == "not_repaired"
    assert objects() == before


@pytest.mark.parametrize("harm", [lose, alter])
def test_a_paused_account_is_left_alone(
    files: list[Media], harm: Callable[[Media], None], provider: SimulatedProvider
) -> None:
    harm(files[0])
    AccountPause.objects.pause(
        source=files[0].source,
        account=files[0].account,
        cause=AccountPause.Cause.UNAUTHORIZED,
        reason="refused",
        length=timedelta(hours=1),
    )
    provider.downloads.clear()
    line, *_ = reconcile("--verify", "--repair", "--apply", code=3)
    assert line["outcome"] == "not_repaired"
    assert not provider.downloads


def deleted(media: Media) -> None:
    Media.objects.filter(id=media.id).mark_deleted("by staff")


def erased(media: Media) -> None:
    Attachment.objects.filter(media=media).delete()
    Media.objects.filter(id=media.id).delete()


@pytest.mark.parametrize("gone", [deleted, erased])
def test_a_file_that_is_gone_meanwhile_leaves_no_object(
    files: list[Media], gone: Callable[[Media], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    alter(files[0])

    def meanwhile(*args: Any) -> Any:
        gone(files[0])
        return fetch(*args)

    monkeypatch.setattr("media_app.reconciliation.repairs.fetch", meanwhile)
    reconcile("--verify", "--repair", "--apply", code=3)
    assert files[0].key not in objects()


# --- adoption ----------------------------------------------------------------------


def forget_rows() -> None:
    Attachment.objects.all().delete()
    Media.objects.all().delete()


def links() -> set[tuple[Any, ...]]:
    return set(Attachment.objects.values_list("message", "position", "media"))


def test_lost_rows_are_made_again_with_their_links(files: list[Media]) -> None:
    rows, linked = states(all_rows()), links()
    forget_rows()
    *lines, summary = reconcile("--adopt")
    assert signs(lines) == {media.key: "+" for media in files}
    assert summary["counts"] == {"objects_without_row": 3, "adoptable": 3}
    assert not Media.objects.exists()
    assert reconcile("--adopt", "--apply")[-1]["counts"]["adopted"] == 3
    assert (states(all_rows()), links()) == (rows, linked)
    assert reconcile("--verify", "--adopt")[-1]["counts"] == {"same": 3}


@pytest.mark.parametrize("state", [State.MISSING, State.EXPIRED, State.REJECTED])
@pytest.mark.parametrize("has_metadata", [True, False])
def test_an_object_is_adopted_for_the_row_that_was_given_up(
    files: list[Media], state: State, has_metadata: bool
) -> None:
    media = files[0]
    Media.objects.filter(id=media.id).update(state=state, last_error="gone")
    if not has_metadata:
        path(media).with_name(f".{path(media).name}.meta").unlink()
    assert reconcile("--adopt", "--apply")[-1]["counts"]["adopted"] == 1
    media.refresh_from_db()
    assert (media.state, media.last_error) == (State.STORED, "")


def test_a_row_adopts_no_object_of_another_owner(files: list[Media]) -> None:
    mark_missing(files[0])
    Media.objects.filter(id=files[0].id).update(owner="whatsapp:+15550002222")
    line, *_ = reconcile("--adopt", "--apply", code=3)
    assert line["outcome"] == "not_adopted"
    assert Media.objects.get(id=files[0].id).state == State.MISSING


def test_without_metadata_no_row_is_made(files: list[Media]) -> None:
    for media in files:
        path(media).with_name(f".{path(media).name}.meta").unlink()
    counts = reconcile("--verify")[-1]["counts"]
    assert counts == {"same": 3, "without_metadata": 3}
    forget_rows()
    *lines, _ = reconcile("--adopt", "--apply", code=3)
    assert {line["outcome"] for line in lines} == {"not_adopted"}
    assert not Media.objects.exists()


def test_wrong_bytes_are_not_adopted(files: list[Media]) -> None:
    Media.objects.filter(id=files[0].id).update(state=State.EXPIRED)
    alter(files[0])
    line, *_ = reconcile("--adopt", "--apply", code=3)
    assert line["outcome"] == "not_adopted"
    forget_rows()
    line, *_ = reconcile("--verify", "--adopt", "--apply")
    assert (line["sign"], line["reason"]) == ("+", "not the bytes of its metadata")
    assert not Media.objects.filter(id=files[0].id).exists()


def test_a_deleted_file_stays_deleted(files: list[Media]) -> None:
    Media.objects.mark_deleted("by staff")
    assert reconcile("--adopt", "--apply")[-1]["counts"] == {"rows_not_stored": 3}
    Media.objects.update(purged_at=Now())
    lines = reconcile("--adopt", "--apply")
    assert {line.get("reason") for line in lines[:-1]} == {"its file is deleted"}
    assert set(Media.objects.values_list("state", flat=True)) == {State.DELETED}


def test_an_erased_file_stays_erased(files: list[Media], settings: Settings) -> None:
    settings.ERASURE_KEY = ["k" * 32]
    tombstones.add([tombstones.digest_of(str(files[0].id))], uuid4())
    forget_rows()
    lines = reconcile("--adopt", "--apply", code=3)
    assert [line.get("outcome") for line in lines] == [
        "not_adopted",
        "adopted",
        "adopted",
        "partly",
    ]
    assert not Media.objects.filter(id=files[0].id).exists()


def test_a_file_erased_while_it_is_adopted_stays_erased(
    files: list[Media], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ERASURE_KEY = ["k" * 32]
    forget_rows()

    def erased_now(_: str) -> None:
        tombstones.add([tombstones.digest_of(str(files[0].id))], uuid4())
        lose(files[1])

    monkeypatch.setattr("media_app.reconciliation.adoption.failpoint", erased_now)
    *lines, _ = reconcile("--adopt", "--apply", code=3)
    outcomes = ["not_adopted", "not_adopted", "adopted"]
    assert [line["outcome"] for line in lines] == outcomes
    states = Media.objects.order_by("key").values_list("id", "state")
    assert list(states) == [(files[1].id, "missing"), (files[2].id, "stored")]


# --- what may not go wrong -----------------------------------------------------------


@pytest.mark.parametrize("point", REPAIRING)
def test_a_killed_repair_is_gone_on_with(files: list[Media], point: str) -> None:
    before = objects()
    harm = lose if point == "repair_after_missing" else alter
    harm(files[0])
    ask = ("reconcile_media", "--verify", "--repair", "--apply")
    dies_at(point, lambda: call_command(*ask, stdout=StringIO(), stderr=StringIO()))
    CommandRun.objects.all().delete()
    reconcile(*ask[1:])
    assert objects() == before
    assert reconcile("--verify")[-1]["counts"] == {"same": 3}


def test_a_killed_adoption_leaves_no_row_without_its_links(files: list[Media]) -> None:
    linked = links()
    forget_rows()
    ask = ("reconcile_media", "--adopt", "--apply")
    dies_at(
        "adoption_before_link",
        lambda: call_command(*ask, stdout=StringIO(), stderr=StringIO()),
    )
    CommandRun.objects.all().delete()
    reconcile(*ask[1:])
    assert links() == linked


def test_a_foreign_storage_refuses_the_command(files: list[Media]) -> None:
    media_storage().write_marker("another", replace=True)
    (summary,) = reconcile("--repair", "--verify=10%", "--apply", code=4)
    assert summary["outcome"] == "refused"
    assert Installation.objects.get().next_share == 0
    assert set(Media.objects.values_list("state", flat=True)) == {State.STORED}


@pytest.mark.parametrize(
    "options",
    [("--apply",), ("--verify=10%", "--sender", "+14335551212"), ("--verify=0",)],
)
def test_what_makes_no_sense_is_usage(options: tuple[str, ...], db: None) -> None:
    with pytest.raises(CommandError) as error:
        call_command("reconcile_media", *options, stdout=StringIO())
    assert error.value.returncode in (1, 2)


def test_ten_runs_of_a_tenth_find_each_altered_file(files: list[Media]) -> None:
    for media in files:
        alter(media)
    told = [key for _ in range(10) for key in wrong(reconcile("--verify=10%"))]
    assert sorted(told) == [media.key for media in files]


def wrong(lines: list[dict[str, Any]]) -> list[str]:
    return [key for key, sign in signs(lines).items() if sign == "*"]


def test_people_read_a_key_in_each_line(files: list[Media]) -> None:
    lose(files[0])
    cut(files[1])
    out = StringIO()
    call_command("reconcile_media", "--repair", stdout=out, stderr=StringIO())
    size = files[1].size or 0
    can = "can be fetched again, if the provider has it"
    assert out.getvalue().splitlines() == [
        f"- {files[0].key}  {can}",
        f"* {files[1].key}  size: row {size}, object {size - 1}; {can}",
        f"= {files[2].key}",
        "1 rows without object, 2 repairable, 1 differing, 1 same",
    ]
