"""A third of a storage is lost and a part of it altered; then all rows are. ``make reconcile
FILES=5000`` is the long form.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from io import BytesIO, StringIO
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from media_app import rate
from media_app.models import Media
from media_app.storage import S3Storage, Storage, media_storage
from mediahub.storages import s3_storage
from messages_app import inbox
from messages_app.models import Attachment, Delivery
from simulator.content import Kind
from simulator.file_ids import FileId
from simulator.ledger import AnnouncedMessage
from simulator.provider import SimulatedProvider
from tests.faults import crash
from tests.messages.mail import SENT, arrive
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.storage.conftest import moto, rclone, rclone_client, rclone_port

__all__ = ["moto", "rclone", "rclone_client", "rclone_port"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

FILES = int(os.environ.get("FILES") or 20)
SEED = 1
# Different pictures; each is sent again and again, under ids of its own.
PICTURES = 30
FILES_OF_A_SENDER = 20
ALBUM = 30


@pytest.fixture(autouse=True)
def any_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "FILES_PER_SECOND", 10_000)


@pytest.fixture(params=["disk", "moto", "rclone"])
def storage(request: pytest.FixtureRequest, settings: Settings) -> Storage:
    """The hub's storage, empty."""
    if request.param != "disk":
        bucket: S3Storage = request.getfixturevalue(request.param)
        described = s3_storage(
            bucket=bucket.bucket,
            key_id=S3_KEY_ID,
            secret=S3_SECRET,
            region="us-east-1",
            endpoint=bucket.client.meta.endpoint_url,
        )
        settings.STORAGES = {**settings.STORAGES, "media": described}
    return media_storage()


@pytest.fixture
def stored(storage: Storage, provider: SimulatedProvider) -> Iterator[list[Media]]:
    """All files, fetched and stored."""
    announced = [sent(number) for number in range(FILES)]
    by_meta = [each for each in announced if each.provider == "meta"]
    for start in range(0, len(by_meta), ALBUM):
        arrive(crash.album(*by_meta[start : start + ALBUM]))
    arrive(*(crash.twilio(each) for each in announced if each.provider == "twilio"))
    while Delivery.objects.due().exists():
        inbox.drain()
    run("backfill_media")
    yield list(Media.objects.filter(state=Media.State.STORED).order_by("key"))
    provider.expired.clear()


def sent(number: int) -> AnnouncedMessage:
    """One photo; every fifth by Twilio."""
    vendor = "meta" if number % 5 else "twilio"
    message = crash.photo(number % PICTURES, vendor)
    assert message.file is not None
    sent_at = SENT - number // PICTURES
    id = FileId(Kind.PHOTO, number % PICTURES, sent_at)
    owner = f"whatsapp:+1433555{number // FILES_OF_A_SENDER:04}"
    message_id = f"wamid.{number:08}" if vendor == "meta" else f"MM{number:032x}"
    file = replace(
        message.file,
        media_id=id.meta if vendor == "meta" else id.twilio,
        message_id=message_id,
        owner=owner,
    )
    return replace(
        message, message_id=message_id, owner=owner, sent_at=sent_at, file=file
    )


def run(*command: str, code: int = 0) -> tuple[dict[str, str], Mapping[str, int]]:
    """The command's signs other than ``=``, by key, and its numbers."""
    name, *options = command
    out, ended = StringIO(), 0
    try:
        call_command(name, "--json", *options, stdout=out, stderr=StringIO())
    except CommandError as error:
        ended = error.returncode
    assert ended == code, out.getvalue()[-2000:]
    *lines, summary = [json.loads(line) for line in out.getvalue().splitlines()]
    signs = {
        line["key"]: line["sign"] for line in lines if line.get("sign", "=") != "="
    }
    return signs, Counter(summary["counts"])


def alter(storage: Storage, key: str, *, cuts: bool) -> None:
    """Cut a byte off the object, or change one; its metadata stays."""
    found, opened = storage.head(key), storage.open_range(key)
    assert found is not None and opened is not None
    with closing(opened):
        body = b"".join(opened.chunks())
    other = body[:-1] if cuts else body[:-1] + bytes([body[-1] ^ 1])
    storage.put(
        key,
        BytesIO(other),
        size=len(other),
        content_type=found.content_type,
        metadata=found.metadata or {},
        replace=True,
    )


def test_all_harm_is_found_and_what_can_be_is_repaired(
    storage: Storage, stored: list[Media], provider: SimulatedProvider
) -> None:
    assert len(stored) == FILES
    shuffled = Random(SEED).sample(stored, FILES)
    lost = shuffled[: FILES * 3 // 10]
    altered = shuffled[-max(FILES // 100, 2) :]
    storage.delete(sorted(media.key for media in lost))
    for number, media in enumerate(altered):
        alter(storage, media.key, cuts=number % 2 == 0)
    # The provider no longer has a tenth of what is lost, and half of what is altered.
    gone, kept_altered = lost[: max(len(lost) // 10, 1)], altered[: len(altered) // 2]
    provider.expired |= {media.provider_media_id for media in gone + kept_altered}

    harm = {media.key: "-" for media in lost} | {media.key: "*" for media in altered}
    signs, counts = run("reconcile_media", "--verify")
    assert signs == harm
    assert counts["same"] == FILES - len(lost) - len(altered)
    assert counts["rows_without_object"] == len(lost)
    assert counts["differing"] == len(altered)

    signs, counts = run("reconcile_media", "--verify", "--repair", "--apply", code=3)
    assert signs == harm
    unrepaired = len(gone) + len(kept_altered)
    assert counts["not_repaired"] == unrepaired
    assert counts["repaired"] == len(harm) - unrepaired

    signs, counts = run("reconcile_media", "--verify")
    assert signs == {media.key: "*" for media in kept_altered}
    assert counts["rows_not_stored"] == len(gone)
    assert counts["same"] == FILES - unrepaired


@pytest.mark.parametrize("storage", ["disk", "moto"], indirect=True)
def test_all_rows_are_made_again_from_their_objects(
    storage: Storage, stored: list[Media]
) -> None:
    rows, links = facts(), attachments()
    assert len(rows) == len(links) == FILES
    Attachment.objects.all().delete()
    Media.objects.all().delete()
    signs, counts = run("reconcile_media", "--adopt", "--apply")
    assert set(signs.values()) == {"+"}
    assert counts == {"objects_without_row": FILES, "adopted": FILES}
    assert (facts(), attachments()) == (rows, links)
    assert run("reconcile_media", "--verify") == ({}, {"same": FILES})


def facts() -> list[tuple[Any, ...]]:
    names = ("id", "key", "owner", "occurred_at", "time_assumed", "position")
    kept = ("source", "account", "provider_media_id", "content_type", "sha256", "size")
    return list(Media.objects.order_by("key").values_list(*names, *kept, "state"))


def attachments() -> set[tuple[Any, ...]]:
    return set(Attachment.objects.values_list("message", "position", "media"))
