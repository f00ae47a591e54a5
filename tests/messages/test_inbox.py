"""What deliveries become: contacts, messages, attachments, files to fetch, and what could not be
read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.db import transaction

from media_app.identity import computed_id
from media_app.models import Media
from messages_app import delivery_batches, event_rows, inbox
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Delivery,
    DeliveryNotice,
    Message,
    MessageStatus,
    QuarantinedItem,
)
from messages_app.providers.events import Event
from simulator.deliveries import SignedRequest
from tests.messages.burst_with_a_flaw import with_third_broken
from tests.messages.mail import (
    ACCOUNTS,
    ADA,
    BOB,
    SENT,
    album,
    arrive,
    card,
    image,
    meta,
    meta_bytes,
    meta_json,
    photo,
    receive,
    twilio,
    twilio_form,
)
from tests.messages.rows import all_rows

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_message_with_its_file_carries_the_ids_and_the_key_of_the_contract() -> None:
    sent = photo(7, text="The front")
    receive(album(sent))
    message, file = Message.objects.get(), Media.objects.get()
    assert sent.file
    assert message.id == computed_id(
        "meta", ACCOUNTS.meta_phone_number_id, "wamid.00000007"
    )
    assert file.id == computed_id(
        "meta", ACCOUNTS.meta_phone_number_id, sent.file.media_id
    )
    assert file.key == f"{ADA}/{SENT}-0-{file.id.hex[:12]}.jpeg"
    assert (file.state, file.announced_sha256, file.occurred_at) == (
        "pending",
        sent.file.sha256,
        message.occurred_at,
    )
    assert (message.kind, message.text, message.owner, message.business) == (
        *("image", "The front", ADA),
        ACCOUNTS.meta_number,
    )
    assert list(message.media.all()) == [file]
    assert message.contact == Contact.objects.get()
    assert message.contact and message.contact.name == "Ada"
    assert message.delivery == Delivery.objects.get()


def test_the_third_of_twenty_broken_leaves_nineteen_and_one_in_quarantine() -> None:
    receive(with_third_broken())
    assert (
        Message.objects.count()
        == Media.objects.count()
        == Attachment.objects.count()
        == 19
    )
    item, delivery = QuarantinedItem.objects.get(), Delivery.objects.get()
    assert item.path == "entry[0].changes[0].messages[2]"
    assert item.payload and item.payload["id"] == "wamid.00000002"
    assert (delivery.state, delivery.last_error) == ("partial", item.error)


def test_an_unreadable_body_fails_and_the_others_are_read() -> None:
    receive(
        meta_bytes(b"\xff not JSON"),
        album(photo(1)),
        twilio_form({"Body": "no MessageSid"}),
    )
    assert sorted(Delivery.objects.values_list("endpoint", "state")) == [
        *(("meta", "failed"), ("meta", "processed"), ("twilio", "failed"))
    ]
    assert list(QuarantinedItem.objects.values_list("path", flat=True)) == ["", ""]
    assert not Delivery.objects.filter(state="failed", last_error="").exists()


@pytest.mark.parametrize("junk", [1, {}], ids=["numbers", "empty objects"])
def test_a_list_of_junk_is_a_hundred_items_and_one_that_counts_the_rest(
    junk: object,
) -> None:
    delivery = meta(image("wamid.1"), *[{"junk": "HERE"}], image("wamid.2"))
    many = ",".join([json.dumps(junk)] * 1_500).encode()
    receive(meta_bytes(delivery.body.replace(b'{"junk": "HERE"}', many)))
    assert Media.objects.filter(state="pending").count() == 2
    assert QuarantinedItem.objects.count() == 101
    assert "1,400 more parts" in QuarantinedItem.objects.get(path="more").error
    assert Delivery.objects.get().state == "partial"


TOO_LARGE = [
    {
        "code": 131052,
        "title": "Media download error",
        "error_data": {"details": "Too large."},
    }
]


def test_a_photo_that_the_provider_lost_is_a_file_that_says_why() -> None:
    receive(
        meta(
            {**image("wamid.1"), "image": {"caption": "The front"}, "errors": TOO_LARGE}
        )
    )
    message, file = Message.objects.get(), Media.objects.get()
    assert (message.text, message.errors) == (
        "The front",
        "131052: Media download error — Too large.",
    )
    assert list(message.media.all()) == [file]
    assert file.state == "rejected"
    assert (
        file.last_error
        == "The provider could not pass it on: 131052: Media download error — Too large."
    )
    assert Media.objects.all().retry_now() == 0
    # No time is left, because there is nothing to fetch.
    assert file.expires_at is None


def test_errors_beside_a_photo_are_stored_and_the_photo_is_fetched() -> None:
    receive(meta(image("wamid.1", errors=[{"code": 1, "title": "Odd"}])))
    assert Message.objects.get().errors == "1: Odd"
    assert Media.objects.get().state == "pending"


def test_fields_that_nothing_reads_are_counted_by_name() -> None:
    change = {"field": "account_update", "value": {"event": "VERIFIED"}}
    arrive(meta_json({"entry": [{"changes": [change, change]}]}), album(photo(1)))
    for _ in range(2):
        inbox.drain()
        Delivery.objects.all().replay()
    assert list(DeliveryNotice.objects.values_list("name", "times", "has_media")) == [
        ("account_update", 2, False)
    ]
    assert set(Delivery.objects.values_list("last_error", flat=True)) == {""}


def test_ten_photos_in_one_second_have_ten_keys() -> None:
    receive(*(album(photo(number)) for number in range(10)))
    assert len(set(Media.objects.values_list("key", flat=True))) == 10
    assert Contact.objects.count() == ContactOwner.objects.count() == 1


def test_the_same_webhook_a_day_later_changes_nothing_but_its_count() -> None:
    receive(album(photo(1), photo(2)))
    Media.objects.update(state="expired")
    before = all_rows()
    Delivery.objects.update(received_at=datetime.now(UTC) - timedelta(days=1))
    receive(album(photo(1), photo(2)))
    assert all_rows() == before
    assert Delivery.objects.get().times_seen == 2


@pytest.mark.parametrize("state", Media.REVIVABLE)
def test_only_a_new_message_revives_a_file_that_was_given_up(state: str) -> None:
    receive(album(photo(1)))
    Media.objects.update(state=state, attempts=9, last_error="gone")
    Delivery.objects.all().replay()
    # The same message again, in another delivery.
    receive(album(photo(1), photo(2)))
    assert Media.objects.get(provider_message_id="wamid.00000001").state == state
    forwarded = image("wamid.forwarded", sender=BOB)
    file = photo(1).file
    assert file
    receive(
        meta({**forwarded, "image": {"id": file.media_id, "mime_type": "image/jpeg"}})
    )
    revived = Media.objects.get(provider_media_id=file.media_id)
    assert (revived.state, revived.attempts, revived.last_error) == ("pending", 0, "")
    assert revived.owner == ADA
    assert revived.attachments.count() == 2


def test_a_stored_file_is_not_touched_by_a_new_message() -> None:
    receive(album(photo(1)))
    Media.objects.update(state="stored", sha256="ab", size=2)
    receive(
        meta(
            {
                **image("wamid.other"),
                "image": {"id": Media.objects.get().provider_media_id},
            }
        )
    )
    assert Media.objects.values_list("state", "sha256").get() == ("stored", "ab")


def test_a_message_of_nobody_has_no_contact_and_its_file_an_owner_of_last_resort() -> (
    None
):
    receive(meta({**image("wamid.1"), "from": "somebody"}))
    assert Message.objects.get().contact is None
    assert Media.objects.get().key.startswith("whatsapp:unknown/")
    assert not Contact.objects.exists()


def test_twilio_files_become_the_same_kinds_of_rows() -> None:
    receive(twilio(photo(1, provider="twilio", text="Hi")))
    message, file = Message.objects.get(), Media.objects.get()
    assert message.id == computed_id(
        "twilio", ACCOUNTS.twilio_account_sid, f"MM{1:032x}"
    )
    assert (message.kind, message.text, message.time_assumed) == ("image", "Hi", True)
    assert message.occurred_at == Delivery.objects.get().received_at
    assert (file.source, file.owner, file.url) == (
        "twilio",
        ADA,
        message.raw["MediaUrl0"],
    )


# --- statuses -------------------------------------------------------------------


def status(name: str, at: int = SENT, id: str = "wamid.ours") -> SignedRequest:
    return meta(
        statuses=[{"id": id, "status": name, "timestamp": str(at), "recipient_id": "1"}]
    )


def stands_at(id: str = "wamid.ours") -> str:
    message_id = computed_id("meta", ACCOUNTS.meta_phone_number_id, id)
    return MessageStatus.objects.filter(message_id=message_id)[0].status


def test_a_status_moves_only_forwards() -> None:
    for name, standing in [
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("read", "read"),
        ("failed", "read"),
    ]:
        receive(status(name))
        assert stands_at() == standing
    assert MessageStatus.objects.count() == 4


def test_a_status_in_two_deliveries_is_stored_once() -> None:
    again = {
        "id": "wamid.ours",
        "status": "sent",
        "timestamp": str(SENT),
        "recipient_id": "1",
    }
    receive(status("sent"))
    receive(meta(statuses=[again, {**again, "status": "read"}]))
    assert MessageStatus.objects.count() == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {"processed"}


def test_a_status_is_stored_before_its_message() -> None:
    receive(status("read", id="wamid.1"))
    assert not Message.objects.exists()
    receive(meta(image("wamid.1")))
    assert MessageStatus.objects.get().message_id == Message.objects.get().id


# --- what can't be kept as it was sent --------------------------------------------

LONG = "".join(Random(1).choices("abcdefghij", k=10_000))
UNFIT = ["\x00", "a\x00b", "\ud83d", "\udfff half", "x" * 2_000_000, "💥" * 100_000]


@pytest.mark.parametrize("text", UNFIT, ids=range(len(UNFIT)))
def test_an_invalid_caption_or_name_is_sanitized(text: str) -> None:
    message = image("wamid.1")
    message["image"] |= {"caption": text, "filename": text}
    receive(meta({**message, text: text}, contacts=[card(text, ADA)]))
    assert Media.objects.get().state == "pending"
    assert Delivery.objects.get().state == "processed"
    assert Message.objects.get().text


@pytest.mark.parametrize(
    "field",
    ["id", "media", "mime_type", "sha256", "timestamp", "refers_to", "from", "type"],
)
@pytest.mark.parametrize(
    "value",
    [LONG, "💥" * 10_000, "\x00" * 10_000],
    ids=["letters", "four bytes each", "NULs"],
)
def test_ten_kilobytes_in_any_field_never_lose_the_photo(
    field: str, value: str
) -> None:
    message = image("wamid.1")
    if field in ("mime_type", "sha256"):
        message["image"][field] = value
    elif field == "media":
        message["image"]["id"] = value
    elif field == "refers_to":
        message["context"] = {"id": value}
    else:
        message[field] = value
        if field == "type":
            message[value] = message["image"]
    receive(meta(message))
    assert Media.objects.count() == Message.objects.count() == 1
    assert not QuarantinedItem.objects.exists()


def test_a_broken_message_of_unfit_text_can_be_quarantined() -> None:
    receive(
        meta({"id": "\x00\ud800", "type": "image", "a\x00": "\udfff"}, image("wamid.1"))
    )
    assert QuarantinedItem.objects.count() == Media.objects.count() == 1


# --- batches --------------------------------------------------------------------


def sizes_of_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    read = delivery_batches.read_batch

    def counted(batch: Sequence[Delivery]) -> None:
        sizes.append(len(batch))
        read(batch)

    monkeypatch.setattr(inbox, "read_batch", counted)
    return sizes


def test_a_batch_has_at_most_a_hundred_deliveries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = sizes_of_batches(monkeypatch)
    arrive(*(status("sent", id=str(number)) for number in range(230)))
    assert inbox.drain() == 230
    assert sizes == [100, 100, 30]


def test_a_batch_has_at_most_eight_megabytes_unless_one_delivery_has_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = sizes_of_batches(monkeypatch)
    megabytes = [3, 4, 2, 10, 8]
    arrive(
        *(
            meta_bytes(b"%d" % number + b" " * (size * 1024 * 1024 - 1))
            for number, size in enumerate(megabytes)
        )
    )
    assert inbox.drain() == 5
    # By time of receipt: 3 + 4, then 2, then 10, then 8.
    assert sizes == [2, 1, 1, 1]


def test_a_delivery_of_very_many_messages_is_applied_in_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slices: list[int] = []
    keep = event_rows.apply_events

    def counted(pairs: Sequence[tuple[Delivery, Event]]) -> None:
        slices.append(len(pairs))
        keep(pairs)

    monkeypatch.setattr(delivery_batches, "apply_events", counted)
    monkeypatch.setattr(delivery_batches, "EVENTS_AT_ONCE", 100)
    receive(meta(*(image(str(number)) for number in range(210))))
    assert slices == [100, 100, 10]
    assert Media.objects.count() == Attachment.objects.count() == 210


# --- order ------------------------------------------------------------------------

HIDDEN = "US.4815162342"
NEW_NUMBER = "whatsapp:+14335559999"


def story() -> list[SignedRequest]:
    """All that may come out of order, from three people, one of them under three addresses."""
    by_hidden = {**image("wamid.hidden", at=SENT + 1), "from": HIDDEN}
    both = image("wamid.both", at=SENT + 2, from_user_id=HIDDEN)
    moved = {
        **{
            "from": ADA.removeprefix("whatsapp:+"),
            "id": "wamid.moved",
            "timestamp": str(SENT + 3),
            "type": "system",
        },
        "system": {
            "type": "user_changed_number",
            "body": "moved",
            "wa_id": NEW_NUMBER.removeprefix("whatsapp:+"),
        },
    }
    edit = {
        **{
            "from": ADA.removeprefix("whatsapp:+"),
            "id": "wamid.edit",
            "timestamp": str(SENT + 5),
            "type": "edit",
        },
        "edit": {
            "original_message_id": "wamid.hidden",
            "message": {"type": "image", "image": image("e")["image"]},
        },
    }
    nameless = image("wamid.nameless", sender=NEW_NUMBER, at=SENT + 9)
    return [
        album(photo(1, name="Ada"), photo(2, name="Ada", sent_at=SENT + 4)),
        # The same message in another batch.
        album(
            photo(2, name="Ada", sent_at=SENT + 4),
            photo(3, name="Ada L.", sent_at=SENT + 6),
        ),
        album(
            photo(4, owner=BOB, name="Bob"),
            photo(5, owner=ADA, name="Ada", sent_at=SENT + 8),
        ),
        album(photo(6, owner=NEW_NUMBER, name="Ada King", sent_at=SENT + 7)),
        meta(by_hidden, contacts=[card("ada", hidden=HIDDEN)]),
        meta(both, contacts=[card("Ada!", ADA, HIDDEN)]),
        meta(moved),
        meta(edit),
        meta(nameless),
        twilio(photo(7, owner=BOB, name="Robert", provider="twilio")),
        status("sent"),
        status("read", SENT + 1),
        status("delivered", SENT + 2),
        status("read", id="wamid.both"),
        meta(
            {"type": "image"},
            image("wamid.beside", at=SENT + 2),
            contacts=[card("Ada", ADA)],
        ),
        meta_json([]),
    ]


def test_any_order_of_deliveries_ends_in_the_same_rows() -> None:
    deliveries = [
        *(
            (request, datetime.fromtimestamp(SENT + 60 + place, UTC))
            for place, request in enumerate(story())
        )
    ]
    ends = []
    for seed in range(10):
        random = Random(seed)
        random.shuffle(deliveries)
        with transaction.atomic():
            rest = list(deliveries)
            while rest:
                # Read in parts of any size; each delivery keeps its time of receipt.
                size = random.randint(1, 5)
                part, rest = rest[:size], rest[size:]
                for request, received_at in part:
                    arrive(request)
                    Delivery.objects.filter(state="received", body=request.body).update(
                        received_at=received_at
                    )
                inbox.drain()
            ends.append(all_rows())
            transaction.set_rollback(True)
    assert all(end == ends[0] for end in ends)
    assert {name: len(rows) for name, rows in ends[0].items()} == {
        **{
            "Contact": 2,
            "ContactOwner": 4,
            "Message": 13,
            "Attachment": 12,
            "Media": 12,
        },
        **{
            "MessageStatus": 4,
            "MessageVersion": 0,
            "DeliveryNotice": 0,
            "QuarantinedItem": 2,
        },
    }
    assert {contact["name"] for contact in ends[0]["Contact"]} == {"Ada", "Robert"}


def test_each_participant_of_a_group_has_a_status_of_their_own() -> None:
    said = {
        "id": "wamid.OUR1",
        "status": "read",
        "timestamp": str(SENT),
        "recipient_id": "Y2Fw",
    }
    group = {**said, "recipient_type": "group"}
    participants = [
        {**group, "recipient_participant_id": number}
        for number in ("14335551212", "15550002222")
    ]
    receive(
        meta(statuses=[*participants, participants[0]]), meta(statuses=participants)
    )
    rows = MessageStatus.objects.values_list(
        "recipient", "group_id", "provider_message_id"
    )
    assert sorted(rows) == [(ADA, "Y2Fw", "wamid.OUR1"), (BOB, "Y2Fw", "wamid.OUR1")]


def test_the_id_of_a_private_status_is_what_it_was() -> None:
    status = {
        "id": "wamid.OUR1",
        "status": "read",
        "timestamp": str(SENT),
        "recipient_id": "14335551212",
    }
    receive(meta(statuses=[{**status, "pricing": {"category": "service"}}]))
    row = MessageStatus.objects.get()
    assert row.id == computed_id(
        "status", "meta", ACCOUNTS.meta_phone_number_id, "wamid.OUR1", "read"
    )
    assert (row.recipient, row.category) == (ADA, "service")
