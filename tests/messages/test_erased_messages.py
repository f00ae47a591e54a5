"""Erased messages come again: they stay erased, and cost nobody else anything."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from media_app import tombstones
from media_app.models import Media, Tombstone
from messages_app import inbox
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Delivery,
    Message,
    MessageStatus,
    QuarantinedItem,
)
from tests.messages.mail import (
    ADA,
    BOB,
    album,
    arrive,
    batch,
    meta,
    photo,
    twilio,
    twilio_form,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def erasure_key(settings: Settings) -> None:
    settings.ERASURE_KEY = [KEY]


def forget() -> None:
    """Keep tombstones of all messages and files that are there, and nothing else of them."""
    ids = {*Message.objects.values_list("id", flat=True)}
    ids |= {*Media.objects.values_list("id", flat=True)}
    tombstones.add([tombstones.digest_of(str(id)) for id in ids], uuid4())
    Message.objects.all().delete()
    for model in (Media, ContactOwner, Contact, Delivery):
        model._base_manager.all().delete()


def read(*requests: object) -> None:
    arrive(*requests)  # type: ignore[arg-type]
    inbox.drain()


@pytest.mark.parametrize("provider", ["meta", "twilio"])
def test_the_same_webhook_brings_nothing_back(provider: str) -> None:
    sent = (
        album(photo(1)) if provider == "meta" else twilio(photo(1, provider="twilio"))
    )
    read(sent)
    forget()
    read(sent)
    assert not Message.objects.exists()
    assert not Media.objects.exists()
    assert not Contact.objects.exists()
    assert not ContactOwner.objects.exists()
    kept = Delivery.objects.get()
    assert (kept.state, kept.last_error) == ("processed", "")
    assert b"14335551212" not in bytes(kept.body)
    assert b"Ada" not in bytes(kept.body)


def test_others_in_the_same_delivery_are_read() -> None:
    read(album(photo(1)))
    forget()
    read(batch([[[photo(1), photo(2, owner=BOB, name="Bob")]]]))
    assert ContactOwner.objects.get().owner == BOB
    assert Contact.objects.get().name == "Bob"
    assert Media.objects.get().owner == BOB
    body = bytes(Delivery.objects.get().body)
    assert b"14335551212" not in body and b"15550002222" in body


def test_a_later_message_of_the_same_person_is_new() -> None:
    read(album(photo(1)))
    forget()
    read(album(photo(1), photo(2)))
    assert Message.objects.get().provider_message_id == photo(2).message_id
    assert Contact.objects.get().name == "Ada"
    assert Media.objects.get().owner == ADA


def test_a_replay_of_an_erased_form_is_no_error() -> None:
    sent = twilio(photo(1, provider="twilio"))
    read(sent)
    forget()
    read(sent)
    Delivery.objects.all().replay()
    inbox.drain()
    assert Delivery.objects.get().state == "processed"
    assert not QuarantinedItem.objects.exists()


def test_a_late_status_of_an_erased_message_is_withheld() -> None:
    tombstones.add([tombstones.digest_of(str(id)) for id in ids_of_reply()], uuid4())
    read(meta(statuses=[status()]))
    assert not MessageStatus.objects.exists()
    assert b"14335551212" not in bytes(Delivery.objects.get().body)


def status() -> dict[str, object]:
    return {
        "id": "wamid.OUR1",
        "status": "read",
        "timestamp": "1795175990",
        "recipient_id": "14335551212",
    }


def ids_of_reply() -> list[object]:
    read(meta(statuses=[status()]))
    ids: list[object] = [*MessageStatus.objects.values_list("message_id", flat=True)]
    MessageStatus.objects.all().delete()
    Delivery.objects.all().delete()
    return ids


def test_an_erased_file_in_another_message_is_fetched() -> None:
    read(album(photo(1)))
    media = Media.objects.get()
    tombstones.add([tombstones.digest_of(str(media.id))], uuid4())
    for model in (Message, Media, Delivery):
        model._base_manager.all().delete()
    read(album(photo(1)))
    assert Attachment.objects.get().media == media
    assert not tombstones.erased([media.id])


def test_former_keys_still_know_what_they_erased(settings: Settings) -> None:
    read(album(photo(1)))
    forget()
    settings.ERASURE_KEY = ["another" * 5, KEY]
    read(album(photo(1)))
    assert not Message.objects.exists()


def test_without_erasures_a_batch_costs_two_queries(settings: Settings) -> None:
    costs = []
    for number, keys in enumerate([[], [KEY]]):
        settings.ERASURE_KEY = keys
        arrive(album(*(photo(10 * number + each) for each in range(9))))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            inbox.drain()
        costs.append(len(queries))
    assert costs[1] <= costs[0] + 2
    assert not Tombstone.objects.exists()


def test_a_form_that_is_no_message_is_kept(settings: Settings) -> None:
    read(twilio_form({"Body": "+14335551212"}))
    assert QuarantinedItem.objects.exists()
