"""Which files' retention period is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from media_app.models import Media
from media_app.purge import purge_deleted
from media_app.storage import media_storage
from messages_app.models import Contact
from messages_app.retention import over
from tests.admin.rows import make_contact, make_media, make_message

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

BOB = "whatsapp:+4915112345"


@pytest.fixture
def old() -> Media:
    """A stored file that was sent a year ago."""
    return make_media(state="stored", occurred_at=timezone.now() - timedelta(days=365))


def silent_for(days: int, **fields: object) -> None:
    """The contact of the file has not written for so long."""
    at = timezone.now() - timedelta(days=days)
    Contact.objects.update(last_message_at=at, **fields)


@pytest.mark.parametrize(("days", "is_over"), [(0, False), (29, False), (31, True)])
def test_files_of_a_silent_sender_are_over(
    old: Media, days: int, is_over: bool
) -> None:
    make_contact("Ana")
    silent_for(days)
    assert over(30).exists() == is_over


def test_without_a_period_nothing_is_ever_over(old: Media) -> None:
    assert not over(0).exists()


def test_a_contact_on_hold_keeps_their_files(old: Media) -> None:
    make_contact("Ana")
    silent_for(400, is_held=True)
    assert not over(30).exists()


def test_a_hold_keeps_what_waits_for_its_purge() -> None:
    make_contact("Ana")
    media = make_media(b"a photo")
    Media.objects.all().mark_deleted("by staff", wait=timedelta(0))
    Contact.objects.hold(True)
    assert (purge_deleted(), Media.objects.restorable().get()) == (0, media)
    Contact.objects.hold(False)
    Media.objects.update(purge_after=Now())
    assert (purge_deleted(), media_storage().head(media.key)) == (1, None)


def test_a_file_without_a_contact_counts_from_its_announcement(old: Media) -> None:
    assert over(364).get() == old
    Media.objects.update(announced_at=timezone.now())
    assert not over(364).exists()


@pytest.mark.parametrize("held", [False, True])
def test_a_file_that_somebody_else_sent_too_stays_for_them(
    old: Media, held: bool
) -> None:
    make_contact("Ana")
    silent_for(400)
    assert over(30).exists()
    other = make_contact("Bob", BOB)
    Contact.objects.filter(id=other.id).update(
        last_message_at=timezone.now() - timedelta(days=400 if held else 1),
        is_held=held,
    )
    make_message(other, old)
    assert not over(30).exists()


def test_only_stored_files_are_over(old: Media) -> None:
    Media.objects.update(state="pending")
    assert not over(30).exists()
