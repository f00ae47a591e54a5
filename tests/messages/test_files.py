"""The files of a message, by the message."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from media_app import signing
from media_app.models import Viewing
from messages_app.models import Attachment, Message
from tests.admin.rows import make_contact, make_media, make_message, photo
from tests.media.browser import Browser

pytestmark = pytest.mark.django_db

FIRST, SECOND = photo("teal"), photo("orange")


@pytest.fixture
def viewer() -> Browser:
    client = Browser()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def message() -> Message:
    """With files at the positions 0 and 3."""
    message = make_message(make_contact(), make_media(FIRST), text="two")
    Attachment.objects.create(message=message, position=3, media=make_media(SECOND))
    return message


def url(message: Message, query: str = "") -> str:
    return reverse("message-file", args=[message.id]) + query


def body(browser: Browser, address: str) -> bytes:
    response = browser.get(address)
    assert response.status_code == 200
    content: bytes = response.body
    return content


def test_the_address_is_the_one_that_is_promised(message: Message) -> None:
    assert url(message) == f"/api/media/messages/{message.id}/"


def test_a_message_gives_its_first_file_or_the_one_at_a_position(
    viewer: Browser, message: Message
) -> None:
    assert body(viewer, url(message)) == FIRST
    assert body(viewer, url(message, "?position=0")) == FIRST
    assert body(viewer, url(message, "?position=3")) == SECOND


@pytest.mark.parametrize("position", ["1", "-1", "x", "", "٣", "9" * 50, "3.0"])
def test_a_position_without_a_file_is_not_there(
    viewer: Browser, message: Message, position: str
) -> None:
    response = viewer.get(url(message, f"?position={position}"))
    assert (response.status_code, response["Cache-Control"]) == (404, "no-store")


def test_a_message_without_files_or_unknown_is_not_there(viewer: Browser) -> None:
    assert viewer.get(reverse("message-file", args=[uuid4()])).status_code == 404
    assert viewer.get(url(make_message(make_contact(), text="none"))).status_code == 404


def test_it_answers_as_the_file_itself_does(viewer: Browser, message: Message) -> None:
    media = message.attachments.get(position=0).media
    for headers in (
        {},
        {"Range": "bytes=0-9"},
        {"If-None-Match": "*"},
        {"Range": "bytes=999999999-"},
    ):
        by_message, by_file = (
            viewer.get(address, headers=headers)
            for address in (url(message), f"/media/{media.id}/")
        )
        assert by_message.status_code == by_file.status_code
        assert dict(by_message.items()) == dict(by_file.items())
    assert viewer.head(url(message))["Content-Length"] == str(len(FIRST))
    assert Viewing.objects.count() == 1


def test_a_link_to_the_file_opens_it_here_too(message: Message) -> None:
    token = signing.link(message.attachments.get(position=3).media).partition("?")[2]
    assert body(Browser(), url(message, f"?position=3&{token}")) == SECOND
    assert Browser().get(url(message, f"?position=0&{token}")).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(method: str, message: Message) -> None:
    response = getattr(Browser(enforce_csrf_checks=True), method)(url(message))
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


def test_strangers_learn_nothing(message: Message) -> None:
    known, unknown = (
        Browser().get(url(message)),
        Browser().get(reverse("message-file", args=[uuid4()])),
    )
    assert (
        (known.status_code, known.content)
        == (unknown.status_code, unknown.content)
        == (404, b"There is no such file.\n")
    )
