"""What happened to a message is shown with it, and what it says beside its text is shown in
words.
"""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from messages_app.models import Contact, Message, MessageStatus
from tests.admin.conftest import Staff
from tests.admin.pages import page_of
from tests.admin.rows import (
    make_contact,
    make_media,
    make_message,
    make_reply,
    make_session,
    photo,
)

MESSAGES = "/admin/messages_app/message/"
CONTACTS = "/admin/messages_app/contact/"


def conversation(client: Client, contact: Contact | None) -> str:
    assert contact is not None
    return page_of(client, contact)


def about(
    message: Message,
    kind: str,
    text: str = "",
    *files: Any,
    minutes: int = 1,
    **fields: Any,
) -> Message:
    """A message about another one, so many minutes after it."""
    contact = fields.pop("contact", message.contact)
    row = make_message(
        contact,
        *files,
        text=text,
        refers_to=message.provider_message_id,
        **{"kind": kind, **fields},
    )
    row.occurred_at = message.occurred_at + timedelta(minutes=minutes)
    row.save()
    return row


@pytest.fixture
def said(db: None) -> Message:
    return make_message(make_contact("Ana"), text="at nine")


def test_an_edit_replaces_what_is_shown_and_keeps_what_was(
    viewer: Client, said: Message
) -> None:
    about(said, "edit", "at eleven", minutes=2)
    about(said, "edit", "at ten", minutes=1)
    for html in (page_of(viewer, said), conversation(viewer, said.contact)):
        bubble, former = html[html.index('class="bubble') :].split("Former versions", 1)
        assert "at eleven" in bubble
        assert "at ten" not in bubble
        assert "at nine" not in bubble
        assert former.index("at nine") < former.index("at ten")


def test_an_edited_photo_replaces_the_former(viewer: Client) -> None:
    former, current = make_media(photo()), make_media(photo("red"))
    message = make_message(make_contact(), former, text="roof")
    about(message, "edit", "the roof", current)
    html = page_of(viewer, message)
    bubble = html[html.index('class="bubble') :]
    assert (
        bubble.index(str(current.id))
        < bubble.index("Former versions")
        < bubble.index(str(former.id))
    )


def test_reactions_stand_with_their_message(viewer: Client, said: Message) -> None:
    tom = make_contact("Tom", "whatsapp:+442079460958")
    about(said, "reaction", "❤️", minutes=1)
    about(said, "reaction", "😂", minutes=2)
    about(said, "reaction", "👍", contact=tom, owner="whatsapp:+442079460958")
    html = conversation(viewer, said.contact)
    assert html.count('class="bubble"') == 1
    assert "😂" in html
    assert "👍" in html
    assert "❤️" not in html
    assert "Tom" in page_of(viewer, said)


def test_a_reaction_taken_back_is_gone(viewer: Client, said: Message) -> None:
    about(said, "reaction", "❤️", minutes=1)
    about(said, "reaction", "", minutes=2)
    html = page_of(viewer, said)
    assert "❤️" not in html
    # No empty mark either.
    assert "bubble-marks" not in html


def test_a_revoked_photo_is_kept_and_marked(viewer: Client) -> None:
    media = make_media(photo())
    message = make_message(make_contact(), media, text="oops")
    about(message, "revoke")
    file = page_of(viewer, f"/admin/media_app/media/{media.id}/change/")
    for html in (
        page_of(viewer, message),
        conversation(viewer, message.contact),
        viewer.get(MESSAGES),
    ):
        text = html if isinstance(html, str) else html.content.decode()
        assert "deleted by its sender" in text
        assert str(media.id) in text
    assert "deleted by its sender" in file


def test_what_is_about_an_unknown_message_stands_alone(viewer: Client) -> None:
    message = make_message(
        make_contact(), text="❤️", kind="reaction", refers_to="wamid.gone"
    )
    for html in (page_of(viewer, message), conversation(viewer, message.contact)):
        assert "❤️" in html
        assert "a message that is not here" in html


def test_another_accounts_message_of_the_same_id_is_another(
    viewer: Client, said: Message
) -> None:
    other = about(said, "edit", "not yours")
    Message.objects.filter(id=other.id).update(account="556")
    assert "not yours" not in page_of(viewer, said)


def test_a_reply_quotes_what_it_is_about(viewer: Client, said: Message) -> None:
    reply = about(said, "text", "fine")
    html = page_of(viewer, reply)
    assert "at nine" in html
    assert f"{MESSAGES}{said.id}/change/" in html


def test_a_message_shows_its_other_content_as_lines(viewer: Client) -> None:
    answers = '{"city": "<script>alert(1)</script>"}'
    raw = {
        "interactive": {
            "type": "nfm_reply",
            "nfm_reply": {"name": "flow", "response_json": answers},
        }
    }
    message = make_message(make_contact(), kind="interactive", text="Sent", raw=raw)
    for html in (page_of(viewer, message), conversation(viewer, message.contact)):
        assert ">City</dt>" in html
        assert "<script>alert" not in html
        assert "<script>alert(1)" in unescape(html)


def test_what_people_write_keeps_its_own_direction(viewer: Client) -> None:
    message = make_message(make_contact("\u202eעדה"), text="שלום עולם")
    for html in (page_of(viewer, message), conversation(viewer, message.contact)):
        assert '<p class="bubble-text" dir="auto">שלום עולם</p>' in html
    assert "<bdi>\u202eעדה</bdi>" in page_of(viewer, message)
    assert "<bdi>\u202eעדה</bdi>" in page_of(viewer, MESSAGES)


def test_a_long_message_is_whole_on_its_page_and_begun_in_the_conversation(
    viewer: Client,
) -> None:
    message = make_message(make_contact(), text="👨‍👩‍👧" * 2_000)
    assert page_of(viewer, message).count("👨‍👩‍👧") >= 2_000
    assert conversation(viewer, message.contact).count("👨‍👩‍👧") < 500
    assert "Read all" in conversation(viewer, message.contact)


def test_without_the_media_permission_no_version_shows_its_files(staff: Staff) -> None:
    former, current = make_media(photo()), make_media(photo("red"))
    message = make_message(make_contact(), former, text="roof")
    about(message, "edit", "the roof", current)
    html = page_of(staff("messages_app.view_message"), message)
    assert str(former.id) not in html
    assert str(current.id) not in html


def test_times_name_their_zone(viewer: Client, said: Message) -> None:
    zone = timezone.localtime(said.occurred_at).strftime("%Z")
    assert f"{zone}</time>" in page_of(viewer, said)


def test_an_error_beside_content_is_told_beside_it(viewer: Client) -> None:
    error = "131052: Media download error"
    raw = {
        "image": {"caption": "roof"},
        "errors": [{"code": 131052, "title": "Media download error"}],
    }
    message = make_message(
        make_contact(), kind="image", text="roof", errors=error, raw=raw
    )
    for html in (page_of(viewer, message), conversation(viewer, message.contact)):
        assert f"<dt>Problem</dt><dd><bdi>{error}</bdi></dd>" in html
    assert f'<span class="reason">{error}</span>' in page_of(viewer, MESSAGES)


def test_what_is_about_a_reply_of_the_hub_quotes_the_reply(viewer: Client) -> None:
    contact = make_contact()
    make_reply(
        make_session(contact),
        said={"text": "Thank you, 3 photos."},
        provider_message_id="wamid.ours",
    )
    reaction = make_message(contact, text="👍", kind="reaction", refers_to="wamid.ours")
    for html in (
        page_of(viewer, reaction),
        conversation(viewer, contact),
        page_of(viewer, MESSAGES),
    ):
        assert "Thank you, 3 photos." in html


def test_a_reply_is_quoted_for_those_who_may_read_replies(staff: Staff) -> None:
    contact = make_contact()
    make_reply(
        make_session(contact),
        said={"text": "Thank you."},
        provider_message_id="wamid.ours",
    )
    reaction = make_message(contact, text="👍", kind="reaction", refers_to="wamid.ours")
    assert "Thank you." not in page_of(staff("messages_app.view_message"), reaction)


def test_nobody_reads_a_reply_to_another_contact(viewer: Client) -> None:
    other = make_session(make_contact("Tom", "whatsapp:+442079460958"))
    make_reply(
        other, said={"text": "Thank you, Tom."}, provider_message_id="wamid.ours"
    )
    reaction = make_message(
        make_contact(), text="👍", kind="reaction", refers_to="wamid.ours"
    )
    assert "Thank you, Tom." not in page_of(viewer, reaction)


def test_a_message_without_text_shows_its_kind_and_lines(viewer: Client) -> None:
    message = make_message(
        make_contact(), kind="poll", raw={"poll": {"question": "Tea?"}}
    )
    html = page_of(viewer, message)
    assert "no words" not in html
    assert ">Poll</p>" in html
    assert "<bdi>Tea?</bdi>" in html


def test_what_the_business_sent_tells_how_far_it_came(
    viewer: Client, staff: Staff
) -> None:
    message = make_message(
        make_contact(), text="We open at nine", direction="sent", origin="echo"
    )
    for rank, (status, error) in enumerate(
        [("sent", ""), ("failed", "131047: Re-engagement message")], 2
    ):
        step = {
            "status": status,
            "rank": rank,
            "error": error,
            "occurred_at": timezone.now(),
        }
        MessageStatus.objects.create(id=uuid4(), message_id=message.id, **step)
    html = page_of(viewer, message)
    assert (
        html.index(">sent</span>")
        < html.index(">failed</span>")
        < html.index("131047: Re-engagement message")
    )
    assert "131047" not in page_of(staff("messages_app.view_message"), message)
