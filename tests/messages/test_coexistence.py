"""Messages beside the live ones: those of the business's phone, of its history, and of apps that
answer for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from media_app.models import Media
from messages_app import outbox, outbox_results, rebuilds
from messages_app.models import (
    Contact,
    ContactOwner,
    Message,
    OutboxItem,
    PhotoSession,
    SessionRebuild,
)
from simulator.deliveries import SignedRequest
from simulator.provider import SimulatedProvider
from tests.messages.mail import (
    ACCOUNTS,
    ADA,
    BOB,
    SENT,
    Json,
    card,
    field,
    image,
    meta,
    photo,
    receive,
    text,
    twilio,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("photos_begin"),
]

BUSINESS = f"whatsapp:+{ACCOUNTS.meta_number.removeprefix('+')}"
DAY = 24 * 3600
By = Callable[..., SignedRequest]


def standby(*messages: Json) -> SignedRequest:
    return field(
        "standby", standby={"contacts": [card("Ada", ADA)], "messages": list(messages)}
    )


def history(*messages: Json) -> SignedRequest:
    thread = {"id": ADA.removeprefix("whatsapp:+"), "messages": list(messages)}
    return field("history", history=[{"metadata": {"phase": 0}, "threads": [thread]}])


def echo(*messages: Json) -> SignedRequest:
    return field(
        "smb_message_echoes", message_echoes=[sent(message) for message in messages]
    )


def sent(message: Json) -> Json:
    return {**message, "from": ACCOUNTS.meta_number, "to": message["from"]}


BESIDE = [
    pytest.param(standby, ("received", "standby"), id="standby"),
    pytest.param(history, ("received", "history"), id="history"),
    pytest.param(echo, ("sent", "echo"), id="echo"),
]


@pytest.mark.parametrize(("by", "way"), BESIDE)
def test_a_photo_is_stored_and_opens_no_session(by: By, way: tuple[str, str]) -> None:
    receive(by(image("wamid.1")))
    message = Message.objects.get()
    assert (message.direction, message.origin) == way
    assert message.contact == Contact.objects.get(owners=ADA)
    assert message.media.get().state == "pending"
    assert not PhotoSession.objects.exists() and not OutboxItem.objects.exists()


def test_live_messages_are_received() -> None:
    receive(meta(image("wamid.1")), twilio(photo(1, provider="twilio")))
    assert set(Message.objects.values_list("direction", "origin")) == {
        ("received", "live")
    }


def test_the_owner_of_a_file_is_who_sent_it() -> None:
    receive(history(image("wamid.1"), sent(image("wamid.2"))), echo(image("wamid.3")))
    owners = Media.objects.order_by("provider_message_id").values_list(
        "owner", flat=True
    )
    assert list(owners) == [ADA, BUSINESS, BUSINESS]
    assert Media.objects.get(provider_message_id="wamid.3").key.startswith(
        f"{BUSINESS}/"
    )
    assert list(ContactOwner.objects.values_list("owner", flat=True)) == [ADA]
    assert Message.objects.filter(contact__owners=ADA).count() == 3


@pytest.mark.parametrize(("by", "way"), BESIDE)
def test_what_stands_beside_is_no_part_of_an_open_session(
    by: By, way: tuple[str, str]
) -> None:
    receive(meta(image("wamid.1")))
    receive(by(image("wamid.2", at=SENT + 1), text("wamid.3", "done", at=SENT + 2)))
    # A rebuild from the beginning, too.
    receive(meta(image("wamid.0", at=SENT - 1)), meta(image("wamid.4", at=SENT + 3)))
    row = PhotoSession.objects.get()
    assert (row.state, len(row.media_ids), len(row.message_ids)) == ("collecting", 3, 3)


def test_the_history_is_believed_for_half_a_year() -> None:
    receive(history(image("wamid.1", at=SENT - 179 * DAY)))
    message, file = Message.objects.get(), Media.objects.get()
    assert (
        message.occurred_at.timestamp(),
        message.time_assumed,
        file.time_assumed,
    ) == (
        SENT - 179 * DAY,
        False,
        False,
    )


def test_each_field_has_its_own_media_lifetime() -> None:
    receive(
        standby(image("wamid.1")),
        echo(image("wamid.2")),
        history(image("wamid.3", at=SENT - 9 * DAY)),
    )
    kept = {file.provider_message_id: file for file in Media.objects.all()}
    for id in ("wamid.1", "wamid.2"):
        assert kept[id].expires_at == kept[id].occurred_at + timedelta(days=7)
    assert kept["wamid.3"].expires_at == kept["wamid.3"].announced_at + timedelta(
        days=14
    )


def test_no_storage_numbers_have_their_hours(settings: Settings) -> None:
    settings.META_MEDIA_LIFETIME_HOURS = 1
    receive(meta(image("wamid.1")), history(image("wamid.2", at=SENT - 9 * DAY)))
    live, old = Media.objects.order_by("provider_message_id")
    assert live.expires_at == live.occurred_at + timedelta(hours=1)
    assert old.expires_at == old.announced_at + timedelta(hours=1)


def test_the_phones_contact_book_names_contacts() -> None:
    entry = {
        "type": "contact",
        "contact": {"full_name": "Ada L.", "phone_number": ADA[10:]},
        "action": "add",
    }
    receive(
        field(
            "smb_app_state_sync",
            state_sync=[{**entry, "metadata": {"timestamp": str(SENT - 60 * DAY)}}],
        )
    )
    contact = Contact.objects.get()
    assert (contact.name, contact.last_message_at) == ("Ada L.", None)
    receive(meta(text("wamid.1", "Hi"), contacts=[card("Ada", ADA)]))
    assert Contact.objects.get().name == "Ada"


def test_a_new_hidden_id_joins_two_contacts() -> None:
    receive(
        meta({**image("wamid.1"), "from": "US.111"}),
        meta({**image("wamid.2", at=SENT + 1), "from": "US.222"}),
    )
    assert Contact.objects.count() == 2
    update = {
        "user_id": {"previous": "US.111", "current": "US.222"},
        "timestamp": str(SENT + 2),
    }
    receive(field("user_id_update", user_id_update=[update]))
    assert Contact.objects.get().messages.count() == 2
    assert [
        len(row.media_ids) for row in PhotoSession.objects.exclude(state="cancelled")
    ] == [2]


@pytest.fixture
def taker(settings: Settings, provider: SimulatedProvider) -> SimulatedProvider:
    """A provider that takes replies."""
    settings.META_APP_SECRET = [ACCOUNTS.meta_app_secret]
    return provider


def test_a_reply_never_takes_a_conversation_over(taker: SimulatedProvider) -> None:
    receive(meta(image("wamid.1")))
    receive(standby(text("wamid.2", "hello")))
    item = OutboxItem.objects.get()
    assert outbox.send_due() == 0
    item.refresh_from_db()
    assert (item.state, item.last_error) == ("failed", outbox.IN_ANOTHER_APP)
    # Staff may decide to.
    outbox_results.send_again(item)
    assert outbox.send_due() == 1


def test_a_conversation_that_came_back_is_answered_again(
    taker: SimulatedProvider,
) -> None:
    receive(standby(text("wamid.1", "hello", at=SENT - 5)))
    receive(meta(image("wamid.2")))
    receive(meta(text("wamid.3", "done", at=SENT + 2)))
    assert outbox.send_due() == 2


def test_another_contact_on_standby_delays_nobody(taker: SimulatedProvider) -> None:
    receive(meta(image("wamid.1")))
    receive(
        standby({**text("wamid.2", "hello"), "from": BOB.removeprefix("whatsapp:+")}),
        echo(text("wamid.3", "hi")),
    )
    assert outbox.send_due() == 1


def test_what_the_business_sent_is_in_no_session() -> None:
    receive(meta(image("wamid.1")), meta(image("wamid.2", at=SENT + 1)))
    Message.objects.filter(provider_message_id="wamid.2").update(direction="sent")
    receive(meta(image("wamid.0", at=SENT - 1)))
    assert len(PhotoSession.objects.get().media_ids) == 2


def test_the_history_rebuilds_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilds, "rebuild_due", lambda: 0)
    receive(history(image("wamid.1")), echo(image("wamid.2")))
    assert not SessionRebuild.objects.exists()
    receive(meta(image("wamid.3")))
    assert SessionRebuild.objects.exists()


def test_a_photo_of_the_business_is_no_late_one_of_a_session(
    settings: Settings,
) -> None:
    receive(
        meta(image("wamid.1")),
        meta(text("wamid.2", "done", at=SENT + 1)),
        meta(text("wamid.3", "A scratch.", at=SENT + 2)),
    )
    # A session that is over stays as it is, whatever is set by now.
    settings.SESSION_START = "keyword"
    receive(echo(image("wamid.4", at=SENT + 32)))
    receive(meta(text("wamid.5", "hello", at=SENT + 31)))
    assert [(row.state, len(row.media_ids)) for row in PhotoSession.objects.all()] == [
        ("submitted", 1)
    ]


def test_a_group_on_standby_holds_no_private_conversation(
    taker: SimulatedProvider,
) -> None:
    receive(meta(image("wamid.1")))
    receive(standby({**text("wamid.2", "hello"), "group_id": "G1"}))
    assert outbox.send_due() == 1


def placeholder(id: str) -> Json:
    return {
        "from": ADA.removeprefix("whatsapp:+"),
        "id": id,
        "timestamp": str(SENT),
        "type": "media_placeholder",
    }


def unsupported(id: str) -> Json:
    return {
        **placeholder(id),
        "type": "unsupported",
        "errors": [{"code": 131051, "title": "Unknown"}],
    }


TWICE = [
    pytest.param(
        [
            history(placeholder("wamid.1")),
            field("history", messages=[image("wamid.1")]),
        ],
        "history",
        0,
        id="placeholder",
    ),
    pytest.param(
        [history(image("wamid.1")), meta(image("wamid.1"))], "live", 1, id="live"
    ),
    pytest.param(
        [history(placeholder("wamid.1")), meta(image("wamid.1"))],
        "live",
        1,
        id="live_placeholder",
    ),
    pytest.param(
        [history(image("wamid.1")), standby(image("wamid.1"))],
        "standby",
        0,
        id="standby",
    ),
    pytest.param(
        [history(image("wamid.1")), meta(unsupported("wamid.1"))],
        "live",
        1,
        id="content",
    ),
]


@pytest.mark.parametrize(("deliveries", "origin", "photos"), TWICE)
@pytest.mark.parametrize(
    "is_one_batch", [True, False], ids=["one_batch", "two_batches"]
)
@pytest.mark.parametrize("is_reversed", [False, True], ids=["in_order", "reversed"])
def test_a_message_that_comes_twice_is_one(
    deliveries: list[SignedRequest],
    origin: str,
    photos: int,
    is_one_batch: bool,
    is_reversed: bool,
) -> None:
    ordered = deliveries[::-1] if is_reversed else deliveries
    for batch in [ordered] if is_one_batch else [[each] for each in ordered]:
        receive(*batch)
    message = Message.objects.get()
    assert (message.kind, message.origin, message.media.count()) == ("image", origin, 1)
    assert sum(len(row.media_ids) for row in PhotoSession.objects.all()) == photos
