"""What comes twice under one message id: content replaces its absence, and two contents are both
kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings

from media_app.models import Media
from messages_app import inbox
from messages_app.models import Delivery, Message, MessageVersion, PhotoSession
from tests.messages.mail import SENT, Json, arrive, image, meta
from tests.messages.rows import Rows, all_rows

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ERRORS = [{"code": 131052, "title": "Media download error"}]
PHOTO = image("wamid.1")
OTHER = {**PHOTO, "image": {**PHOTO["image"], "id": "media-other"}}
CAPTIONED = {**PHOTO, "image": {**PHOTO["image"], "caption": "The front"}}
TEXT = {**PHOTO, "type": "text", "text": {"body": "Hi"}}
UNSUPPORTED = {
    **PHOTO,
    "type": "unsupported",
    "image": None,
    "errors": [{"code": 131051, "title": "Unknown"}],
}
PLACEHOLDER = {**PHOTO, "type": "media_placeholder", "image": None}
LOST = {**PHOTO, "image": {"caption": "The front"}, "errors": ERRORS}
AGAIN = {**PHOTO, "image": {**PHOTO["image"], "url": "https://lookaside.fbsbx.com/x"}}


def ways(messages: Sequence[Json]) -> Iterator[list[list[Json]]]:
    """Every order of the messages; in one delivery, and each in its own."""
    for order in permutations(messages):
        yield [list(order)]
        yield [[message] for message in order]


def read(deliveries: list[list[Json]], *, at_once: bool = False) -> Rows:
    """The rows that these deliveries make; nothing of them stays."""
    with transaction.atomic():
        for delivery in deliveries:
            arrive(meta(*delivery))
            if not at_once:
                inbox.drain()
        inbox.drain()
        # Replayed, nothing changes.
        rows = all_rows()
        Delivery.objects.all().replay()
        inbox.drain()
        assert all_rows() == rows
        transaction.set_rollback(True)
    return rows


def the_same(*messages: Json) -> Rows:
    """The rows of these messages, which are the same for all their orders and batches."""
    first, *others = [read(way) for way in ways(messages)]
    assert all(rows == first for rows in others)
    assert read([[message] for message in messages], at_once=True) == first
    return first


@pytest.mark.parametrize(
    "absence",
    [UNSUPPORTED, PLACEHOLDER, LOST],
    ids=["unsupported", "placeholder", "lost"],
)
def test_content_replaces_its_absence(absence: Json) -> None:
    assert the_same(absence, PHOTO) == read([[PHOTO]])


def test_two_photos_under_one_id_are_both_stored() -> None:
    rows = the_same(PHOTO, OTHER)
    assert [row["state"] for row in rows["Media"]] == ["pending"] * 2
    assert [row["position"] for row in rows["Attachment"]] == [0, 1]
    assert len(rows["MessageVersion"]) == 2


def test_two_captions_of_one_photo_are_both_stored() -> None:
    rows = the_same(PHOTO, CAPTIONED)
    assert len(rows["Media"]) == 1
    assert sorted(row["text"] for row in rows["MessageVersion"]) == ["", "The front"]


def test_two_contents_beside_an_absence_are_two() -> None:
    rows = the_same(TEXT, LOST, PHOTO)
    assert len(rows["MessageVersion"]) == 2
    assert [row["state"] for row in rows["Media"]] == ["pending"]


def test_another_link_to_the_same_photo_is_no_other_content() -> None:
    arrive(meta(PHOTO), meta(AGAIN))
    inbox.drain()
    assert not MessageVersion.objects.exists()


def test_a_file_that_was_lost_is_gone_when_it_comes() -> None:
    arrive(meta(LOST))
    inbox.drain()
    assert Media.objects.get().state == "rejected"
    arrive(meta(PHOTO))
    inbox.drain()
    assert Media.objects.get().state == "pending"


def test_a_photo_that_comes_after_its_absence_is_in_its_session(
    settings: Settings,
) -> None:
    settings.SESSION_START = "photo"
    for message in (image("wamid.0", at=SENT - 5), UNSUPPORTED, PHOTO):
        arrive(meta(message))
        inbox.drain()
    assert len(PhotoSession.objects.get().media_ids) == 2


def test_what_a_fixed_reader_finds_replaces_the_former_content() -> None:
    arrive(meta(CAPTIONED))
    inbox.drain()
    Message.objects.update(text="misread", kind="hologram")
    Delivery.objects.all().replay()
    inbox.drain()
    assert Message.objects.values_list("kind", "text").get() == ("image", "The front")
    assert not MessageVersion.objects.exists()
