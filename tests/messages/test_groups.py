"""Groups are conversations of their own: what is said there is kept, and is no part of a private
session.
"""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from media_app.models import Media
from messages_app import inbox, rebuilds
from messages_app.contacts import own_id
from messages_app.conversations import Conversation
from messages_app.models import Message, OutboxItem, PhotoSession, SessionRebuild
from messages_app.session_rows import rebuild_sessions
from tests.messages.conversations.chat import picture, text
from tests.messages.mail import ADA, SENT, Json, arrive, image, meta

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("photos_begin"),
]

GROUP = "Y2FwaV9ncm91cDox"


def in_group(message: Json) -> Json:
    return {**message, "id": f"{message['id']}.group", "group_id": GROUP}


def receive(*messages: Json) -> None:
    arrive(*(meta(message) for message in messages))
    inbox.drain()


def test_a_photo_in_a_group_has_its_sender_and_the_group() -> None:
    receive(in_group(image("wamid.1")))
    message, file = Message.objects.get(), Media.objects.get()
    assert (message.group_id, message.owner, message.contact_id) == (
        GROUP,
        ADA,
        own_id(ADA),
    )
    assert (file.owner, file.state) == (ADA, "pending")


def test_a_group_opens_no_session_and_gets_no_reply() -> None:
    receive(in_group(picture(0)), in_group(text(1, "sell")), in_group(text(2, "done")))
    assert not PhotoSession.objects.exists()
    assert not SessionRebuild.objects.exists()
    assert not OutboxItem.objects.exists()


def test_a_known_message_gets_its_group() -> None:
    receive(in_group(image("wamid.1")), image("wamid.2"))
    Message.objects.update(group_id="")
    import_module("messages_app.migrations.0012_groups_of_known_messages").fill(
        apps, None
    )
    assert dict(Message.objects.values_list("provider_message_id", "group_id")) == {
        "wamid.1.group": GROUP,
        "wamid.2": "",
    }


def test_a_group_message_is_no_part_of_a_private_session() -> None:
    receive(picture(0), in_group(picture(1)), in_group(text(2, "done")), picture(3))
    session = PhotoSession.objects.get()
    assert (session.state, len(session.media_ids), len(session.message_ids)) == (
        "collecting",
        2,
        2,
    )


def test_a_rebuild_from_the_beginning_leaves_a_group_out() -> None:
    receive(picture(0), in_group(picture(60)))
    session = PhotoSession.objects.get()
    rebuild_sessions(
        Conversation.of(
            session.contact_id, session.provider, session.account, session.business
        ),
        session.started_at,
    )
    assert rebuilds.rebuild_due() == 0
    session.refresh_from_db()
    assert len(session.media_ids) == 1
    # Nobody may be answered because of what they said in a group.
    assert session.last_at.timestamp() == SENT


def test_reset_in_private_spares_what_was_sent_to_a_group() -> None:
    shared = picture(1, name="group", bytes_of="shared")
    receive(
        in_group(shared),
        {**picture(2), "image": shared["image"]},
        picture(3),
        text(4, "reset"),
    )
    assert Media.objects.exclude(state="deleted").count() == 1
