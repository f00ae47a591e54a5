"""SMS, RCS and Messenger by Twilio: senders of their own, answered on the channel that they wrote
by.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from media_app.models import Media
from messages_app import inbox, outbox
from messages_app.contacts import own_id
from messages_app.models import Contact, ContactOwner, Delivery, Message, PhotoSession
from simulator.customer import Customer
from simulator.deliveries import SignedRequest
from simulator.provider import SimulatedProvider
from tests.messages.mail import ADA, SENT, photo, receive, twilio
from tests.messages.rows import all_rows

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

SMS = "sms:+14335551212"


def test_one_number_on_two_channels_is_two_contacts() -> None:
    receive(
        twilio(photo(1, provider="twilio")),
        twilio(photo(2, provider="twilio", owner=SMS, name="")),
    )
    assert dict(ContactOwner.objects.values_list("owner", "contact")) == {
        ADA: own_id(ADA),
        SMS: own_id(SMS),
    }
    assert {row.key.partition("/")[0] for row in Media.objects.all()} == {ADA, SMS}


def read_as_whatsapp(request: SignedRequest) -> None:
    """As before SMS had an owner of its own: what was read is WhatsApp's."""
    receive(request)
    contact = Contact.objects.create(id=own_id(ADA), name="Ada")
    ContactOwner.objects.create(owner=ADA, contact=contact)
    Message.objects.update(owner=ADA, contact=contact)
    Media.objects.update(
        owner=ADA, key="whatsapp:+14335551212/1716120082-0-3fa9c1d2e4b7.jpeg"
    )
    ContactOwner.objects.filter(owner=SMS).delete()
    Contact.objects.exclude(id=contact.id).delete()


def test_a_replay_leaves_what_was_read_as_whatsapp_as_it_is() -> None:
    request = twilio(photo(1, provider="twilio", owner=SMS, name="Ada"))
    read_as_whatsapp(request)
    before = all_rows()
    Delivery.objects.update(state="received", attempts=0)
    inbox.drain()
    after = all_rows()
    for rows in (before, after):
        for row in rows["Contact"]:
            # Reading it again tells when it was sent.
            del row["last_message_at"], row["named_at"]
    assert after == before


def test_who_was_nobody_on_another_channel_stays_so_when_read_again() -> None:
    receive(twilio(photo(1, provider="twilio", owner="messenger:4815162342")))
    Message.objects.update(owner="", contact=None)
    Contact.objects.all().delete()
    Delivery.objects.update(state="received", attempts=0)
    inbox.drain()
    assert not Contact.objects.exists()


@pytest.mark.parametrize("owner", [SMS, "rcs:+14335551212", "messenger:14335551212"])
def test_a_session_is_answered_on_its_channel(
    provider: SimulatedProvider, settings: Settings, owner: str
) -> None:
    provider.sends.clear()
    channel, _, number = owner.partition(":")
    customer = Customer(
        number=number,
        channel=channel,
        provider="twilio",
        public_url=settings.PUBLIC_URL,
    )
    receive(customer.say("SELL", SENT))
    receive(customer.photo(SENT))
    outbox.send_due()
    assert PhotoSession.objects.get().owner == owner
    assert {send.to for send in provider.sends} == {owner.removeprefix("sms:")}


def test_reset_on_one_channel_deletes_nothing_of_the_other() -> None:
    """One number twice, and the beginning of another one."""
    others = (ADA, "sms:+143355512123")
    said = [
        photo(number, provider="twilio", owner=owner)
        for number, owner in enumerate((SMS, *others))
    ]
    words = [
        replace(
            said[0],
            message_id=f"MM{word:>032}",
            kind="text",
            text=word.upper(),
            file=None,
        )
        for word in ("sell", "reset")
    ]
    for message in (words[0], *said, words[1]):
        receive(twilio(message))
    assert {row.owner for row in Media.objects.exclude(state="deleted")} == {*others}
