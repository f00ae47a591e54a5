from __future__ import annotations

from uuid import uuid4

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from messages_app.models import MessageStatus
from tests.admin.conftest import Staff
from tests.admin.pages import page_of
from tests.admin.rows import make_contact, make_media, make_message, photo

MESSAGES = "/admin/messages_app/message/"
STATUSES = "/admin/messages_app/messagestatus/"
CONTACTS = "/admin/messages_app/contact/"


def test_the_list_of_messages_shows_files_text_sender_and_delivery(
    viewer: Client,
) -> None:
    contact, media = make_contact("Ana Lucía"), make_media(photo())
    message = make_message(contact, media, text="the kitchen")
    html = page_of(viewer, MESSAGES)
    assert f"{reverse('media-preview', args=[media.id])}?size=320" in html
    assert "the kitchen" in html
    assert reverse("admin:messages_app_contact_change", args=[contact.id]) in html
    assert (
        reverse("admin:messages_app_delivery_change", args=[message.delivery_id])
        in html
    )


def test_a_message_shows_its_files_in_order_and_why_one_is_absent(
    viewer: Client,
) -> None:
    kept, absent = (
        make_media(photo()),
        make_media(state="retrying", last_error="The line broke.", attempts=2),
    )
    message = make_message(
        make_contact(),
        absent,
        kept,
        text="two of them",
        raw={"from": "1433", "kind": "größer"},
    )
    html = page_of(viewer, message)
    assert html.index(f"/media/{absent.id}/change/") < html.index(
        f"/media/{kept.id}/change/"
    )
    assert "The line broke." in html
    assert "2 attempts" in html
    assert "&quot;kind&quot;: &quot;größer&quot;" in html


def test_two_contents_under_one_id_are_flagged_and_both_shown(viewer: Client) -> None:
    message = make_message(make_contact(), text="at noon")
    for text in ("at noon", "at <b>one"):
        now = message.received_at
        message.versions.create(
            id=uuid4(),
            digest=text,
            origin="live",
            kind="text",
            text=text,
            received_at=now,
        )
    assert "It came with several contents." in page_of(viewer, MESSAGES)
    html = page_of(viewer, message)
    assert "at &lt;b&gt;one" in html


def test_without_the_media_permission_a_message_shows_no_files(staff: Staff) -> None:
    media = make_media(photo())
    message = make_message(make_contact(), media, text="just words")
    client = staff("messages_app.view_message")
    for address in (MESSAGES, f"{MESSAGES}{message.id}/change/"):
        html = page_of(client, address)
        assert "just words" in html
        assert str(media.id) not in html


def test_messages_are_found_by_words_numbers_and_kind(viewer: Client) -> None:
    message = make_message(make_contact(), text="where is the kitchen")
    make_message(
        None, make_media(photo()), text="other", owner="whatsapp:+2348031234567"
    )
    for query in ({"q": "kitchen"}, {"q": "433-555"}, {"kind": "text"}, {"q": "Ana"}):
        assert list(viewer.get(MESSAGES, query).context["cl"].result_list) == [
            message
        ], query


def test_a_message_without_a_sender_is_shown(viewer: Client) -> None:
    message = make_message(None, text="from nowhere", owner="", delivery=None)
    assert "unknown sender" in page_of(viewer, message)
    assert "from nowhere" in page_of(viewer, MESSAGES)


def test_the_list_of_contacts_shows_all_addresses_and_counts_each_file_once(
    viewer: Client,
) -> None:
    contact, media = (
        make_contact("Ana", "whatsapp:+14335551212", "whatsapp:US.999"),
        make_media(photo()),
    )
    make_message(contact, media, make_media(state="pending"))
    make_message(contact, media)
    response = viewer.get(CONTACTS)
    html = response.content.decode()
    assert "+14335551212" in html
    assert "US.999" in html
    assert [row.files for row in response.context["cl"].result_list] == [2]
    assert f"{reverse('admin:media_app_media_changelist')}?contact={contact.id}" in html


def test_a_contact_without_a_name_goes_by_the_number(viewer: Client) -> None:
    make_contact("")
    assert ">+14335551212</a>" in page_of(viewer, CONTACTS)


def test_contacts_are_found_by_any_of_their_numbers_once(viewer: Client) -> None:
    contact = make_contact("Ana", "whatsapp:+14335551212", "whatsapp:+14335551213")
    make_contact("Tom", "whatsapp:+442079460958")
    for term in ("433 555", "5551213", "ana"):
        assert list(viewer.get(CONTACTS, {"q": term}).context["cl"].result_list) == [
            contact
        ], term


def test_a_contacts_page_shows_messages_and_files(viewer: Client) -> None:
    contact, media = make_contact("Ana"), make_media(photo())
    message = make_message(contact, media, text="the kitchen")
    make_message(make_contact("Tom", "whatsapp:+442079460958"), text="not hers")
    html = page_of(viewer, contact)
    assert f"{reverse('media-preview', args=[media.id])}?size=320" in html
    assert "the kitchen" in html
    assert reverse("admin:messages_app_message_change", args=[message.id]) in html
    assert "not hers" not in html


def test_a_contacts_page_keeps_to_the_permissions(staff: Staff) -> None:
    contact, media = make_contact("Ana"), make_media(photo())
    make_message(contact, media, text="between us")
    html = page_of(staff("messages_app.view_contact"), contact)
    assert "between us" not in html
    assert str(media.id) not in html


def test_what_the_business_sent_is_shown_as_such(viewer: Client) -> None:
    contact = make_contact("", "whatsapp:+14335551212")
    of_us = {"direction": "sent", "origin": "echo", "owner": "whatsapp:+15550100200"}
    message = make_message(contact, text="We open at nine", **of_us)
    make_message(contact, text="When?")
    page = page_of(viewer, message)
    assert "Sent by the business to" in page
    assert ">+14335551212</bdi></a>" in page
    assert page_of(viewer, contact).count("Sent by the business") == 1
    assert list(
        viewer.get(MESSAGES, {"direction__exact": "sent"}).context["cl"].result_list
    ) == [message]


def test_a_group_is_shown_with_the_sender_of_each_message(viewer: Client) -> None:
    ana, ben = make_contact("Ana"), make_contact("Ben", "whatsapp:+2348031234567")
    said = [
        make_message(who, text=who.name, group_id="Y2FwaTox", owner=str(who.id))
        for who in (ana, ben)
    ]
    make_message(ana, text="between us")
    group = f"{MESSAGES}?group=Y2FwaTox"
    page = page_of(viewer, f"{MESSAGES}{said[0].id}/change/")
    assert f'href="{group}"' in page
    assert set(viewer.get(group).context["cl"].result_list) == set(said)
    contact = page_of(viewer, ana)
    assert contact.count("In a group") == 1
    assert page_of(viewer, MESSAGES).count("In a group") == 2


def test_a_status_is_found_by_message_and_number_and_told_in_words(
    viewer: Client,
) -> None:
    row = {
        "message_id": uuid4(),
        "status": "failed",
        "rank": 3,
        "occurred_at": timezone.now(),
    }
    words = {"error": "131047: Re-engagement message", "category": "marketing"}
    known = {
        "provider_message_id": "wamid.OUR1",
        "recipient": "sms:+14335551212",
        **words,
    }
    status = MessageStatus.objects.create(id=uuid4(), **row, **known)
    MessageStatus.objects.create(id=uuid4(), **{**row, "message_id": uuid4()})
    for term in ("wamid.OUR1", "(433) 555-1212", "14335551212", str(row["message_id"])):
        response = viewer.get(STATUSES, {"q": term})
        assert list(response.context["cl"].result_list) == [status], term
    html = response.content.decode()
    for shown in ("SMS +14335551212", "marketing", "131047: Re-engagement message"):
        assert shown in html
